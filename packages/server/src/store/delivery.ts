/** What drivers of the deliveries' store share. */
import type { WebhookEvent } from "../core/request.ts";
import type { DeliveryAttempt, Outcome } from "./deliveries.ts";

/** How many of a delivery's tries are kept, the latest. */
const KEPT_ATTEMPTS = 20;

export function eventOf(status: Outcome["status"]): WebhookEvent {
  return status === "COMPLETED" ? "completed" : "failed";
}

/** The host that `url` names; one that no name server knows (RFC 2606 §2) where it names none. Never throws: an outcome is written whatever its webhook. */
export function hostOf(url: string): string {
  return URL.parse(url)?.host || "invalid";
}

export function appended(attempts: readonly DeliveryAttempt[], attempt: DeliveryAttempt): DeliveryAttempt[] {
  return [...attempts, attempt].slice(-KEPT_ATTEMPTS);
}

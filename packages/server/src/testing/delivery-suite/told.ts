import type { Submission, Webhook } from "../../core/request.ts";
import type { DeliveryAttempt, DeliveryMark } from "../../store/deliveries.ts";
import { COMPLETE } from "../store-suite/under-test.ts";
import type { StoreUnderTest } from "../store-suite/under-test.ts";

/** What a submit brings whose outcome `url` is to hear of. */
export function telling(url: string, over: Partial<Webhook> = {}): Pick<Submission, "webhook" | "publicBase"> {
  return {
    webhook: { url, events: ["completed", "failed"], body: "full", ...over },
    publicBase: "https://api.example",
  };
}

/** A request that has completed and whose outcome `url` is to hear of; answers its id. */
export async function completed(t: StoreUnderTest, url: string, over: Partial<Submission> = {}): Promise<string> {
  const id = await t.enqueue({ ...telling(url), ...over });
  await t.store.settle(id, (await t.leaseOne()).token, COMPLETE);
  return id;
}

export function attempt(at: number, status: number | null = 500): DeliveryAttempt {
  const delivered = status !== null && status < 300;
  return { at, tookMs: 3, status, error: delivered ? null : `The receiver answered ${status}.` };
}

export function delivered(at: number): DeliveryMark {
  return { type: "delivered", attempt: attempt(at, 204) };
}

export function retry(at: number, dueAt: number): DeliveryMark {
  return { type: "retry", attempt: attempt(at), dueAt };
}

export function gaveUp(at: number): DeliveryMark {
  return { type: "failed", attempt: attempt(at, 410) };
}

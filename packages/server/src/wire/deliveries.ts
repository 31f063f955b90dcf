/** What a caller is shown of its webhooks: the deliveries, each with its tries, and the secret that they are signed with. */
import type { Delivery, DeliveryAttempt, ListedDelivery } from "../store/deliveries.ts";
import type { WebhookSecret } from "../store/keys.ts";
import { seconds } from "./metrics.ts";
import { iso, isoOrNull } from "./time.ts";
import { webhookBody } from "./webhook.ts";

/** Answer to `GET /v2/webhooks/deliveries`. */
export function deliveriesBody(deliveries: readonly ListedDelivery[], nextCursor: string | null): string {
  return JSON.stringify({
    deliveries: deliveries.map(listed),
    next_cursor: nextCursor,
  });
}

/** Answer to `POST /v2/webhooks/deliveries/{id}/redeliver`: as it stands in the list, for a key that may submit need not be one that may read results. */
export function redeliveredBody(delivery: ListedDelivery): string {
  return JSON.stringify(listed(delivery));
}

/** Answer to `GET /v2/webhooks/deliveries/{id}`: its body is the text whose bytes are sent and signed. */
export function deliveryBody(delivery: Delivery): string {
  return JSON.stringify({
    ...facts(delivery),
    attempts: delivery.attempts.map(shownAttempt),
    webhook_body: delivery.body,
    body: webhookBody(delivery),
  });
}

function listed(delivery: ListedDelivery): object {
  return { ...facts(delivery), last_attempt: shownAttempt(delivery.attempts.at(-1)) };
}

function facts(delivery: ListedDelivery): object {
  return {
    request_id: delivery.id,
    event: `request.${delivery.event}`,
    url: delivery.url,
    state: delivery.state,
    created_at: iso(delivery.createdAt),
    tries: delivery.tries,
    next_try_at: isoOrNull(delivery.dueAt),
  };
}

function shownAttempt(attempt: DeliveryAttempt | undefined): object | null {
  if (attempt === undefined) return null;
  const { at, tookMs, status, error } = attempt;
  return { at: iso(at), took_seconds: seconds(tookMs), http_status: status, error };
}

/** Answer to `GET /v2/webhooks/secret`: the one that signs, and the one before it while that signs too. */
export function secretBody([present, previous]: readonly WebhookSecret[]): string {
  if (present === undefined) throw new TypeError("an owner has always a secret");
  return JSON.stringify({
    secret: present.secret,
    created_at: iso(present.createdAt),
    previous: previous === undefined ? null : { secret: previous.secret, expires_at: isoOrNull(previous.expiresAt) },
  });
}

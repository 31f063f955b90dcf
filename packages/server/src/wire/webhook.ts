/**
 * What a webhook says: made from a delivery's facts alone, so that every try of it sends the same bytes, also
 * when its request is long gone. The envelope is that of Standard Webhooks ("Payload structure"); the names in
 * `data` are those of the contract where it has them.
 */
import type { Delivery, Outcome } from "../store/deliveries.ts";
import { completedFields, failureFields } from "./bodies.ts";
import { metricsJson } from "./metrics.ts";
import { iso } from "./time.ts";

/**
 * The body to send, JSON. A result whose text lies in a file (it is larger than 64 KB) is never in it: then it is
 * told as in a thin one, with `"truncated": true`.
 */
export function webhookBody({ id, event, body, base, outcome }: Delivery): string {
  const { model, status, createdAt, finishedAt } = outcome;
  const finished = iso(finishedAt);
  return (
    `{"type":"request.${event}","timestamp":"${finished}","data":{"request_id":"${id}",` +
    `"model":${JSON.stringify(model)},"status":"${status}",` +
    (body === "full" ? fullFields(outcome, base) : thinFields(outcome)) +
    `"created_at":"${iso(createdAt)}","finished_at":"${finished}",` +
    `"status_url":"${base}/v2/requests/${id}/status","response_url":"${base}/v2/requests/${id}"}}`
  );
}

/** What the result's URL answers, and the metrics, which it does not have of every kind. */
function fullFields(outcome: Outcome, base: string): string {
  const { result } = outcome;
  if (result === null) return `${failureFields(outcome)},${thinFields(outcome)}`;
  const fields = completedFields(result, outcome, base);
  if (typeof fields !== "string") return `"truncated":true,`;
  return result.kind === "image" ? `${fields},` : `${fields},"metrics":${metricsJson(outcome)},`;
}

function thinFields({ result, failure }: Outcome): string {
  return result === null ? `"error_code":${JSON.stringify(failure?.code ?? null)},` : "";
}

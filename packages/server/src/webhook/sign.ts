/** Signs what is sent, as Standard Webhooks has it (standardwebhooks.com, "Signature scheme", symmetric). */
import { createHmac } from "node:crypto";
import type { WebhookSecret } from "../store/keys.ts";

const PREFIX = "whsec_";

/**
 * The headers of one try: `id` is the same in each, the time and with it the signature are new. While a secret
 * is being rotated there is a signature by each, so that a receiver that knows one of them can verify it.
 */
export function signedHeaders(
  id: string,
  now: number,
  body: string,
  secrets: readonly WebhookSecret[],
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const signatures = secrets.map(({ secret }) => {
    const key = Buffer.from(secret.slice(PREFIX.length), "base64");
    return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
  });
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}

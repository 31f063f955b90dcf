/** What is sent is verified by the library that receivers would take, and by its clock, which is the real one. */
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { signedHeaders } from "../../src/webhook/sign.ts";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const OLD = secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=");
const NEW = secret("iL0kCbkQzG8ry8jAb2wK9mTsKmrv2yZ5iL0kCbkQzG8=");
const BODY = '{"type":"request.completed","data":{"output":"Grüße, 世界 🌍"}}';
const clock = systemClock();

function secret(base64: string) {
  return { secret: `whsec_${base64}`, createdAt: 0, expiresAt: null };
}

function verifies(by: { readonly secret: string }, body: string, headers: Record<string, string>): unknown {
  return new Webhook(by.secret).verify(body, headers);
}

test("it verifies with the owner's secret, in the library's own words", () => {
  const now = clock.now();
  const headers = signedHeaders(ID, now, BODY, [NEW]);
  expect(verifies(NEW, BODY, headers)).toEqual(JSON.parse(BODY));
  const signature = new Webhook(NEW.secret).sign(ID, new Date(now), BODY);
  expect(headers).toEqual({
    "webhook-id": ID,
    "webhook-timestamp": String(Math.floor(now / 1000)),
    "webhook-signature": signature,
  });
});

test("while the secret is rotated it verifies with either, and with no other", () => {
  const headers = signedHeaders(ID, clock.now(), BODY, [NEW, OLD]);
  for (const one of [NEW, OLD]) expect(verifies(one, BODY, headers)).toEqual(JSON.parse(BODY));
  expect(() => verifies(secret("c3RyYW5nZXJzdHJhbmdlcnN0cmFuZ2Vyc3RyYW5nZXI="), BODY, headers)).toThrow(
    WebhookVerificationError,
  );
});

test("a changed body, id or time does not, nor one that was kept back for long", () => {
  const headers = signedHeaders(ID, clock.now(), BODY, [NEW]);
  const refused = (body: string, more: Record<string, string>): void =>
    expect(() => verifies(NEW, body, { ...headers, ...more })).toThrow(WebhookVerificationError);
  refused(BODY.replace("world", "moon").replace("completed", "failed"), {});
  refused(BODY, { "webhook-id": `${ID.slice(0, -1)}8` });
  refused(BODY, { "webhook-timestamp": String(Number(headers["webhook-timestamp"]) + 1) });
  refused(BODY, signedHeaders(ID, clock.now() - 600_000, BODY, [NEW]));
});

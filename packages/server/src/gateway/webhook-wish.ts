/** How a submit asks to be told of the outcome: `?webhook=`, `?webhook_events=`, `?webhook_body=`. */
import type { Webhook, WebhookEvent } from "../core/request.ts";
import type { AllowPrivate } from "../net/address.ts";
import { judgeUrl } from "../net/guard.ts";
import { bad, glimpse } from "./query.ts";

/** Longest URL, in characters of its ASCII form: what every server and proxy takes. */
const MAX_URL = 2_048;
const EVENTS: readonly WebhookEvent[] = ["completed", "failed"];
const BODIES: readonly Webhook["body"][] = ["full", "thin"];
/** What the query of a submit may have beside a webhook's URL. */
const PARAMETERS: ReadonlySet<string> = new Set(["webhook", "webhook_events", "webhook_body", "wait"]);

/**
 * The webhook that the query of a submit's `url` asks for, or null. Throws `bad_request` with a sentence that
 * says what was expected, what came and what to do. Private addresses that only DNS leads to are found out later.
 */
export function webhookWish(url: string, allowPrivate: AllowPrivate): Webhook | null {
  const start = url.indexOf("?");
  if (start === -1) return null;
  const query = new URLSearchParams(url.slice(start + 1));
  checkNames(query);
  const target = once(query, "webhook");
  const events = once(query, "webhook_events");
  const body = once(query, "webhook_body");
  if (target !== undefined) {
    return { url: urlOf(target, allowPrivate), events: eventsOf(events), body: bodyOf(body) };
  }
  if (events === undefined && body === undefined) return null;
  const given = events === undefined ? "webhook_body" : "webhook_events";
  throw bad(`${given} was given without a webhook. Add the URL to send it to: ?webhook=https://example.com/hook.`);
}

/** Why nothing may be sent to `url`, as far as its text tells, or undefined. */
export function judgeTarget(url: URL, allowPrivate: AllowPrivate): string | undefined {
  const refusal = judgeUrl(url, allowPrivate);
  return refusal === undefined ? undefined : `webhook may not be sent to ${url.host}: ${refusal}`;
}

/** A slip that would leave somebody waiting to be told: a name that is none, or the half of a URL that was not encoded. */
function checkNames(query: URLSearchParams): void {
  const hasWebhook = query.has("webhook");
  for (const name of query.keys()) {
    if (PARAMETERS.has(name) || !(hasWebhook || name.startsWith("webhook"))) continue;
    throw bad(
      `There is no query parameter ${glimpse(name)} here; of a webhook there are webhook, webhook_events and webhook_body. ` +
        "If it is a part of the webhook's own URL, percent-encode that URL.",
    );
  }
}

function once(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1) throw bad(`${name} must be given once, got it ${values.length} times.`);
  return values[0];
}

function urlOf(text: string, allowPrivate: AllowPrivate): string {
  // The parser would drop or encode what is no part of a URL.
  const url = /[\0- \x7f]/.test(text) ? null : URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw bad(`webhook must be an absolute http or https URL, such as https://example.com/hook, got ${glimpse(text)}.`);
  }
  const { href } = url;
  if (href.length > MAX_URL) {
    throw bad(`webhook must be a URL of at most ${MAX_URL} characters, got ${href.length}: ${glimpse(text)}.`);
  }
  if (url.username !== "" || url.password !== "") {
    throw bad(
      "webhook must be a URL without a user name or password. Verify the signature that each webhook carries instead.",
    );
  }
  if (href.includes("#")) {
    throw bad(`webhook must be a URL without a fragment, which is never sent: leave out ${glimpse(url.hash || "#")}.`);
  }
  const refusal = judgeTarget(url, allowPrivate);
  if (refusal === undefined) return href;
  throw bad(`${refusal}. If it is to be allowed, start the server with INFERQ_ALLOW_PRIVATE=webhook.`);
}

/** In one order, each once, so that one wish has one form. */
function eventsOf(text: string | undefined): readonly WebhookEvent[] {
  if (text === undefined) return EVENTS;
  const words: readonly string[] = text.split(",").map((word) => word.trim());
  const found = EVENTS.filter((event) => words.includes(event));
  if (words.every((word) => found.some((event) => event === word))) return found;
  throw bad(`webhook_events must be completed, failed or both with a comma between, got ${glimpse(text)}.`);
}

function bodyOf(text: string | undefined): Webhook["body"] {
  const body = BODIES.find((one) => one === (text ?? "full"));
  if (body === undefined) throw bad(`webhook_body must be full or thin, got ${glimpse(text ?? "")}.`);
  return body;
}

/** What a submit asks for beside its input. From its headers: priority, times, how long its result is kept, its idempotency key. */
import type { IncomingHttpHeaders } from "node:http";
import { InferqError } from "../core/errors.ts";
import type { NewId } from "../core/ids.ts";
import type { Priority, Submission, Webhook } from "../core/request.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import type { GatewaySettings } from "./options.ts";

export interface SubmitOptions {
  readonly priority: Priority;
  /** How long the request may wait for a worker, ms. */
  readonly startTimeoutMs: number | null;
  /** Longest run, ms; never more than the model's own limit. */
  readonly runTimeoutMs: number | null;
  /** Life of the request and its result, ms; null: as the configuration says. */
  readonly ttlMs: number | null;
  /** The life begins with the first reading of the result. */
  readonly keepUntilRead: boolean;
  readonly idempotencyKey: string | null;
  /** Who is told of the outcome; from the query (webhook-wish.ts). */
  readonly webhook: Webhook | null;
}

/** The lives that the configuration gives and allows. */
export type Lives = Pick<GatewaySettings, "resultTtlSeconds" | "resultTtlLimitSeconds">;

const NO_OPTIONS: SubmitOptions = {
  priority: 0,
  startTimeoutMs: null,
  runTimeoutMs: null,
  ttlMs: null,
  keepUntilRead: false,
  idempotencyKey: null,
  webhook: null,
};

const PRIORITIES: ReadonlyMap<string, Priority> = new Map([
  ["low", -1],
  ["normal", 0],
  ["high", 1],
]);
/** Decimal seconds; an exponent or a sign is a slip. */
const SECONDS = /^\d{1,12}(?:\.\d{1,12})?$/;
/** What every log, shell and proxy passes on unchanged. */
export const IDEMPOTENCY_KEY: RegExp = /^[ -~]{1,255}$/;

/** Reads the headers of a submit of `model`. Throws `bad_request` with a sentence that names the header, what it takes and what came. */
export function submitOptions(headers: IncomingHttpHeaders, model: CatalogEntry, lives: Lives): SubmitOptions {
  const priority = headers["x-priority"];
  const start = headers["x-start-timeout"];
  const run = headers["x-run-timeout"];
  const ttl = headers["x-result-ttl"];
  const keep = headers["x-keep-until-read"];
  const key = headers["idempotency-key"];
  // Most submits have none, and pay six look-ups for it.
  if (priority === undefined && start === undefined && run === undefined) {
    if (ttl === undefined && keep === undefined && key === undefined) return NO_OPTIONS;
  }
  const limit = `${model.timeoutMs / 1000} seconds, the limit of ${model.definition.name}`;
  const longest = longestLifeMs(lives);
  const options = {
    priority: priorityOf(priority),
    runTimeoutMs: millisecondsOf("X-Run-Timeout", run, model.timeoutMs, limit),
    ttlMs: millisecondsOf("X-Result-TTL", ttl, longest, `${longest / 1000} seconds, the longest life of a result here`),
    keepUntilRead: keepOf(keep),
    idempotencyKey: keyOf(key),
    webhook: null,
  };
  const life = lifeMs(options, lives);
  const startTimeoutMs = millisecondsOf("X-Start-Timeout", start, life, `${life / 1000} seconds, the request's life`);
  return { ...options, startTimeoutMs };
}

/** The life, seconds, that the id of a request with these options is to tell; null where the reading will end it. */
export function toldLife(options: Life, lives: Lives): number | null {
  return options.keepUntilRead ? null : ttlMsOf(options, lives) / 1000;
}

/** Which times these options set for a request whose id tells their `toldLife`, and that is queued at `now`. */
export function timesOf(
  options: SubmitOptions,
  lives: Lives,
  { madeAt, expiresAt }: NewId,
  now: number,
): Pick<Submission, "startDeadline" | "expiresAt" | "keepMs"> {
  const { startTimeoutMs, keepUntilRead } = options;
  return {
    startDeadline: startTimeoutMs === null ? null : now + startTimeoutMs,
    // As the id tells it, so that it is still true when nothing else is left to tell it.
    expiresAt: expiresAt ?? madeAt + lifeMs(options, lives),
    keepMs: keepUntilRead ? ttlMsOf(options, lives) : null,
  };
}

type Life = Pick<SubmitOptions, "ttlMs" | "keepUntilRead">;

/** One that is kept until it has been read lives as long as any may, if nobody reads it. */
function lifeMs(options: Life, lives: Lives): number {
  return options.keepUntilRead ? longestLifeMs(lives) : ttlMsOf(options, lives);
}

function ttlMsOf({ ttlMs }: Life, { resultTtlSeconds }: Lives): number {
  return ttlMs ?? resultTtlSeconds * 1000;
}

/** An operator who gives every request a longer life than the limit allows it to those who ask, too. */
export function longestLifeMs({ resultTtlSeconds, resultTtlLimitSeconds }: Lives): number {
  return Math.max(resultTtlSeconds, resultTtlLimitSeconds) * 1000;
}

type Header = string | string[] | undefined;

function priorityOf(header: Header): Priority {
  if (header === undefined) return NO_OPTIONS.priority;
  const priority = PRIORITIES.get(String(header));
  if (priority === undefined) throw refused("X-Priority", "low, normal or high", header);
  return priority;
}

function keepOf(header: Header): boolean {
  if (header === undefined) return NO_OPTIONS.keepUntilRead;
  if (header !== "true" && header !== "false") throw refused("X-Keep-Until-Read", "true or false", header);
  return header === "true";
}

/** Reads an `Idempotency-Key`. Throws `bad_request`. */
export function keyOf(header: Header): string | null {
  if (header === undefined) return null;
  const key = String(header);
  if (!IDEMPOTENCY_KEY.test(key)) {
    const came = `${key.length} characters: ${shown(key)}`;
    throw new InferqError("bad_request", {
      detail: `Idempotency-Key must be 1 to 255 printable ASCII characters, got ${came}.`,
    });
  }
  return key;
}

/** `most` in ms; `limit` is the same in words. */
function millisecondsOf(name: string, header: Header, most: number, limit: string): number | null {
  if (header === undefined) return null;
  const text = String(header);
  const seconds = SECONDS.test(text) ? Number(text) : 0;
  if (seconds <= 0) throw refused(name, "a number of seconds above 0, such as 30 or 0.5", header);
  if (seconds * 1000 > most) throw refused(name, `at most ${limit}`, header);
  return Math.max(1, Math.round(seconds * 1000));
}

function refused(name: string, expected: string, came: string | string[]): InferqError {
  return new InferqError("bad_request", { detail: `${name} must be ${expected}, got ${shown(String(came))}.` });
}

/** In ASCII, for what came may be anything. */
function shown(text: string): string {
  const start = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return JSON.stringify(start.replace(/[^ -~…]/g, "?"));
}

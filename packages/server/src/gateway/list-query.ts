/** The query of `GET /v2/requests`: which of its requests a caller asks for. */
import { InferqError } from "../core/errors.ts";
import { isId } from "../core/ids.ts";
import type { Status } from "../core/request.ts";
import type { Catalog } from "../model/catalog.ts";
import type { ListWish } from "../store/store.ts";
import { IDEMPOTENCY_KEY } from "./submit-options.ts";

const STATUSES: readonly Status[] = ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"];
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** Seconds since the epoch beyond which there must have been meant milliseconds: the year 5138. */
const MAX_SECONDS = 100_000_000_000;
/** A plus sign that was not percent-encoded arrives as a space. */
const ISO_8601 = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+ -]\d{2}:\d{2}))?$/i;

/** Each parameter, and what it makes of its value; throws with the sentence that says what was expected. */
const READERS = {
  status: (value: string) => ({ status: asStatus(value) }),
  model: (value: string, models: Catalog) => ({ model: asModel(value, models) }),
  since: (value: string) => ({ since: asTime("since", value) }),
  until: (value: string) => ({ until: asTime("until", value) }),
  idempotency_key: (value: string) => ({ idempotencyKey: asKey(value) }),
  limit: (value: string) => ({ limit: asLimit(value) }),
  cursor: (value: string) => ({ before: idOfCursor(value) }),
} satisfies Record<string, (value: string, models: Catalog) => Partial<ListWish>>;

/** What `query` asks for. Throws `bad_request` with a sentence that names the parameter, what was expected and what came. */
export function readListQuery(query: Readonly<Record<string, unknown>>, models: Catalog): Omit<ListWish, "owner"> {
  let wish: Omit<ListWish, "owner"> = { limit: DEFAULT_LIMIT };
  for (const [name, value] of Object.entries(query)) {
    if (!isReadable(name)) {
      throw bad(`There is no query parameter ${glimpse(name)} here. There are ${Object.keys(READERS).join(", ")}.`);
    }
    if (typeof value !== "string") throw bad(`${name} must be given once.`);
    wish = { ...wish, ...READERS[name](value, models) };
  }
  return wish;
}

/** The opaque text that stands for "those after `id`". */
export function cursorOf(id: string): string {
  return Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url");
}

function idOfCursor(cursor: string): string {
  const hex = Buffer.from(cursor, "base64url").toString("hex");
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  if (isId(id) && cursorOf(id) === cursor) return id;
  throw bad(`cursor must be the next_cursor of the page before, got ${glimpse(cursor)}.`);
}

function isReadable(name: string): name is keyof typeof READERS {
  return Object.hasOwn(READERS, name);
}

function asStatus(value: string): Status {
  const status = STATUSES.find((one) => one === value);
  if (status === undefined) throw bad(`status must be one of ${STATUSES.join(", ")}, got ${glimpse(value)}.`);
  return status;
}

/** A name that is not served now may have been before: its requests are listed for as long as they live. */
function asModel(value: string, models: Catalog): string {
  return models.find(value)?.definition.name ?? value;
}

function asTime(name: string, value: string): number {
  const isSeconds = /^\d{1,15}(?:\.\d{1,9})?$/.test(value);
  if (isSeconds && Number(value) <= MAX_SECONDS) return Number(value) * 1000;
  const ms = ISO_8601.test(value) && isDay(value.slice(0, 10)) ? Date.parse(value.replace(" ", "+")) : NaN;
  if (!Number.isNaN(ms)) return ms;
  const hint = isSeconds ? " Milliseconds must be divided by 1000." : "";
  throw bad(
    `${name} must be a time as ISO 8601 with its zone (2026-01-31T12:00:00Z), a date, or seconds since 1970, got ${glimpse(value)}.${hint}`,
  );
}

/** 30 February is none: it would be taken for 2 March. */
function isDay(date: string): boolean {
  const ms = Date.parse(date);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date);
}

function asKey(value: string): string {
  if (IDEMPOTENCY_KEY.test(value)) return value;
  throw bad(`idempotency_key must be 1 to 255 printable ASCII characters, got ${glimpse(value)}.`);
}

function asLimit(value: string): number {
  const limit = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw bad(`limit must be a whole number from 1 to ${MAX_LIMIT}, got ${glimpse(value)}.`);
}

/** The client's own text, short enough for a sentence. */
function glimpse(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

function bad(detail: string): InferqError {
  return new InferqError("bad_request", { detail });
}

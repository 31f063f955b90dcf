/** The query of `GET /v2/requests`: which of its requests a caller asks for. */
import type { Status } from "../core/request.ts";
import type { Catalog } from "../model/catalog.ts";
import type { ListWish } from "../store/store.ts";
import { bad, DEFAULT_LIMIT, glimpse, PAGE_READERS, readQuery, type Readers } from "./query.ts";
import { IDEMPOTENCY_KEY } from "./submit-options.ts";

const STATUSES: readonly Status[] = ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"];

/** Seconds since the epoch beyond which there must have been meant milliseconds: the year 5138. */
const MAX_SECONDS = 100_000_000_000;
/** A plus sign that was not percent-encoded arrives as a space. */
const ISO_8601 = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+ -]\d{2}:\d{2}))?$/i;

/** What `query` asks for. Throws `bad_request` with a sentence that names the parameter, what was expected and what came. */
export function readListQuery(query: Readonly<Record<string, unknown>>, models: Catalog): Omit<ListWish, "owner"> {
  const readers: Readers<ListWish> = {
    status: (value) => ({ status: asStatus(value) }),
    model: (value) => ({ model: asModel(value, models) }),
    since: (value) => ({ since: asTime("since", value) }),
    until: (value) => ({ until: asTime("until", value) }),
    idempotency_key: (value) => ({ idempotencyKey: asKey(value) }),
    ...PAGE_READERS,
  };
  return { limit: DEFAULT_LIMIT, ...readQuery(query, readers) };
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

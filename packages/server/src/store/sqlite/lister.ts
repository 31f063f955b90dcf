import type { DatabaseSync } from "node:sqlite";
import type { Priority } from "../../core/request.ts";
import type { ListedRequest, ListWish } from "../store.ts";
import { idFromBytes, idToBytes } from "./id-bytes.ts";
import { STATUSES } from "./messages.ts";
import { STATUS_COLUMNS, toStatus, type StatusRow } from "./status-row.ts";

/** Rows looked at in one step; a few milliseconds. */
const STEP_ROWS = 2000;

interface ListedRow extends StatusRow {
  readonly id: Uint8Array;
  readonly priority: Priority;
  readonly idempotency_key: string | null;
  readonly retry_of: string | null;
}

/** What one step of a list has found, and where the next goes on; null: there is no more. */
export interface Stretch<T> {
  readonly found: readonly T[];
  readonly next: string | null;
}

export const BEFORE_ALL_IDS: Uint8Array = new Uint8Array(0);
export const BEHIND_ALL_IDS: Uint8Array = new Uint8Array(17).fill(0xff);

/** A step of a list, given whose rows are meant. A plus keeps an index that is in another order from being used. */
function select(whose: string): string {
  return `SELECT id, ${STATUS_COLUMNS}, priority, idempotency_key, retry_of
    FROM requests CROSS JOIN inputs ON inputs.number = requests.input
    WHERE id >= $from AND id < $before AND ${whose} AND +expires_at > $now
      AND ($status IS NULL OR status = $status) AND ($model IS NULL OR model = $model)
      AND created_at >= $since AND created_at < $until ORDER BY id DESC LIMIT $most`;
}

/**
 * Lists in the order of the rows themselves, from the newest back: lists need no index of their own, which
 * every submit would have to write. An owner's rows that lie far apart are found in steps.
 */
export function lister(db: DatabaseSync): (wish: ListWish, now: number) => Stretch<ListedRequest> {
  const all = db.prepare(select("+owner = $owner"));
  const byKey = db.prepare(select("owner = $owner AND idempotency_key = $key"));
  const lastOfStep = db.prepare(
    `SELECT id FROM requests WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
  );

  return (wish, now) => {
    const { owner, status, model, since, until, idempotencyKey, limit } = wish;
    const before = wish.before === undefined ? BEHIND_ALL_IDS : idToBytes(wish.before, new Uint8Array(16));
    // One owner's rows with the same key are few: one live, and those that the sweep has yet to remove.
    const last = idempotencyKey === undefined ? (lastOfStep.get(before) as { id: Uint8Array } | undefined) : undefined;
    const values = {
      $from: last?.id ?? BEFORE_ALL_IDS,
      $before: before,
      $owner: owner,
      $now: now,
      $status: status === undefined ? null : STATUSES.indexOf(status),
      $model: model ?? null,
      $since: since ?? -Infinity,
      $until: until ?? Infinity,
      $most: limit + 1,
    };
    const found = (idempotencyKey === undefined
      ? all.all(values)
      : byKey.all({ ...values, $key: idempotencyKey })) as unknown as ListedRow[];
    const requests = found.slice(0, limit).map(toListed);
    if (found.length > limit) return { found: requests, next: requests.at(-1)!.id };
    return { found: requests, next: last === undefined ? null : idFromBytes(last.id) };
  };
}

function toListed(row: ListedRow): ListedRequest {
  const { priority, idempotency_key: idempotencyKey, retry_of: retryOf } = row;
  return { ...toStatus(idFromBytes(row.id), row), priority, idempotencyKey, retryOf };
}

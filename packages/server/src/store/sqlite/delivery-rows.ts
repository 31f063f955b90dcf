import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Webhook } from "../../core/request.ts";
import { appended, eventOf, hostOf } from "../delivery.ts";
import type { DeliveryAttempt } from "../deliveries.ts";
import { COMPLETED } from "./messages.ts";
import type { Answer, MarkType } from "./messages.ts";

/** State as rows hold it. */
export const PENDING = 0;
export const DELIVERED = 1;
export const GIVEN_UP = 2;

/** What became known of deliveries by a commit. */
export interface DeliveryNews {
  /** How many are pending. */
  readonly pending: number;
  /** Those that were made or asked for again. */
  readonly due: readonly (readonly [id: string, host: string])[];
}

/** What a request that has its outcome tells of itself, in the order of the columns that keep it. */
type Told = readonly [
  owner: string,
  model: string,
  status: number,
  submittedAt: number,
  startedAt: number | null,
  finishedAt: number,
  inferenceMs: number | null,
  failureCode: string | null,
  failureMessage: string | null,
  result: number | null,
  webhook: string,
  base: string | null,
];

interface Standing {
  readonly state: number;
  readonly host: string;
  readonly asked_at: number;
  readonly attempts: string;
  readonly result: number | null;
  /** When the request expires; null where its row is gone. */
  readonly expires_at: number | null;
}

/**
 * Writes deliveries, inside the transaction of the caller. A delivery has the request's result in common with
 * its row, for results may be large: it is deleted with the last of the two.
 */
export class DeliveryRows {
  #pending: number;
  #due: (readonly [id: string, host: string])[] = [];
  readonly #told;
  readonly #insert;
  readonly #standing;
  readonly #mark;
  readonly #remove;
  readonly #removeDelivered;
  readonly #removeResult;
  readonly #oldestPending;
  readonly #oldestGivenUp;
  readonly #giveUp;
  readonly #ask;

  constructor(db: DatabaseSync) {
    const { count } = db.prepare(`SELECT count(*) AS count FROM deliveries WHERE state = ${PENDING}`).get() as {
      count: number;
    };
    this.#pending = count;
    this.#told = db.prepare(
      `SELECT owner, model, status, created_at, started_at, finished_at, inference_ms, failure_code, failure_message,
        result, inputs.webhook, public_base
        FROM requests JOIN inputs ON inputs.number = requests.input WHERE id = ?`,
    );
    this.#told.setReturnArrays(true);
    // Not INSERT ... SELECT, before which SQLite copies every page that it is about to change: 30 us instead of 6.
    this.#insert = db.prepare(
      `INSERT INTO deliveries (id, state, tries, attempts, host, url, body, base, asked_at, due_at,
        owner, model, status, submitted_at, started_at, finished_at, inference_ms, failure_code, failure_message, result)
        VALUES (?, ${PENDING}, 0, '[]', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#standing = db.prepare(
      `SELECT deliveries.state, host, asked_at, deliveries.attempts, deliveries.result, expires_at
        FROM deliveries LEFT JOIN requests ON requests.id = deliveries.id WHERE deliveries.id = ?`,
    );
    this.#mark = db.prepare(
      "UPDATE deliveries SET state = ?, due_at = coalesce(?, due_at), tries = tries + 1, attempts = ? WHERE id = ?",
    );
    this.#remove = db.prepare("DELETE FROM deliveries WHERE id = ?");
    this.#removeDelivered = db.prepare(`DELETE FROM deliveries WHERE id = ? AND state = ${DELIVERED}`);
    this.#removeResult = db.prepare("DELETE FROM results WHERE number = ?");
    // Both conditions on the state are in the text: the index holds some states only, and SQLite does not work out which.
    const oldest = (state: number): StatementSync =>
      db.prepare(
        `SELECT id FROM deliveries WHERE state = ${state} AND state <> ${DELIVERED} AND asked_at < ?
          ORDER BY asked_at, id LIMIT ?`,
      );
    this.#oldestPending = oldest(PENDING);
    this.#oldestGivenUp = oldest(GIVEN_UP);
    this.#giveUp = db.prepare(`UPDATE deliveries SET state = ${GIVEN_UP} WHERE id = ?`);
    this.#ask = db.prepare(`UPDATE deliveries SET state = ${PENDING}, asked_at = ?, due_at = ? WHERE id = ?`);
  }

  /** Makes the delivery of a request that has just got its outcome and a webhook is to tell of, if of this outcome. */
  make(id: string, key: Uint8Array): void {
    const row = this.#told.get(key) as unknown as Told;
    const [owner, model, status, submittedAt, startedAt, finishedAt, inferenceMs, code, message, result] = row;
    const [, , , , , , , , , , webhook, base] = row;
    const { url, events, body } = JSON.parse(webhook) as Webhook;
    if (!events.includes(eventOf(status === COMPLETED ? "COMPLETED" : "FAILED"))) return;
    const host = hostOf(url);
    this.#insert.run(
      key,
      host,
      url,
      body,
      base ?? "",
      finishedAt,
      finishedAt,
      owner,
      model,
      status,
      submittedAt,
      startedAt,
      finishedAt,
      inferenceMs,
      code,
      message,
      result,
    );
    this.#isDue(id, host, 1);
  }

  /** The row of a request with a webhook was deleted. Answers whether its result is to go too. */
  requestRemoved(key: Uint8Array): boolean {
    return this.#removeDelivered.run(key).changes === 1 || this.#standing.get(key) === undefined;
  }

  mark(key: Uint8Array, type: MarkType, dueAt: number | null, attempt: DeliveryAttempt): Answer {
    const row = this.#standing.get(key) as unknown as Standing | undefined;
    if (row?.state !== PENDING) return "unknown";
    const askedAgain = row.asked_at > attempt.at && type !== "delivered";
    const state = type === "retry" || askedAgain ? PENDING : type === "delivered" ? DELIVERED : GIVEN_UP;
    if (state !== PENDING) this.#pending--;
    if (state === DELIVERED && row.expires_at === null) this.#forget(key, row);
    else {
      const attempts = appended(JSON.parse(row.attempts) as DeliveryAttempt[], attempt);
      this.#mark.run(state, askedAgain ? null : dueAt, JSON.stringify(attempts), key);
    }
    return true;
  }

  giveUp(madeBefore: number, forgetBefore: number, limit: number): Answer {
    const forgotten = keys(this.#oldestGivenUp, forgetBefore, limit);
    for (const key of forgotten) this.#forget(key, this.#standing.get(key) as unknown as Standing);
    const givenUp = keys(this.#oldestPending, madeBefore, limit);
    for (const key of givenUp) this.#giveUp.run(key);
    this.#pending -= givenUp.length;
    return { givenUp: givenUp.length, forgotten: forgotten.length };
  }

  redeliver(id: string, key: Uint8Array, now: number): Answer {
    const row = this.#standing.get(key) as unknown as Standing | undefined;
    if (row === undefined || (row.state === DELIVERED && (row.expires_at ?? -Infinity) <= now)) return "unknown";
    this.#ask.run(now, now, key);
    this.#isDue(id, row.host, row.state === PENDING ? 0 : 1);
    return true;
  }

  /** What is new since the last call. */
  takeNews(): DeliveryNews {
    const due = this.#due;
    if (due.length > 0) this.#due = [];
    return { pending: this.#pending, due };
  }

  #isDue(id: string, host: string, more: number): void {
    this.#due.push([id, host]);
    this.#pending += more;
  }

  #forget(key: Uint8Array, { result, expires_at: requestExpiresAt }: Standing): void {
    this.#remove.run(key);
    if (requestExpiresAt === null && result !== null) this.#removeResult.run(result);
  }
}

function keys(oldest: StatementSync, askedBefore: number, limit: number): Uint8Array[] {
  return (oldest.all(askedBefore, limit) as unknown as { id: Uint8Array }[]).map(({ id }) => id);
}

import type { DatabaseSync } from "node:sqlite";
import type { ErrorCode } from "../../core/errors.ts";
import type { Result, Webhook } from "../../core/request.ts";
import { eventOf } from "../delivery.ts";
import type { Delivery, DeliveryAttempt, DeliveryState, ListedDelivery } from "../deliveries.ts";
import { DELIVERED, GIVEN_UP, PENDING } from "./delivery-rows.ts";
import { idFromBytes, idToBytes } from "./id-bytes.ts";
import { COMPLETED } from "./messages.ts";
import { toFailure } from "./status-row.ts";

/** By their places: state as rows hold it. */
const STATES: readonly DeliveryState[] = ["pending", "delivered", "failed"];

/** The request's row is joined for its `expires_at`: what was delivered is there as long as the request is. */
const LISTED = `deliveries.id, deliveries.owner, deliveries.status, url, deliveries.finished_at, state, tries, due_at,
  deliveries.attempts, requests.expires_at`;
const WHOLE = `${LISTED}, asked_at, body, base, deliveries.model, submitted_at, deliveries.started_at, deliveries.inference_ms,
  deliveries.failure_code, deliveries.failure_message, results.json AS result`;
const REQUEST = "LEFT JOIN requests ON requests.id = deliveries.id";
const RESULT = "LEFT JOIN results ON results.number = deliveries.result";

interface ListedRow {
  readonly id: Uint8Array;
  readonly owner: string;
  readonly status: number;
  readonly url: string;
  readonly finished_at: number;
  readonly state: number;
  readonly tries: number;
  readonly due_at: number;
  readonly attempts: string;
  readonly expires_at: number | null;
}

interface WholeRow extends ListedRow {
  readonly asked_at: number;
  readonly body: Webhook["body"];
  readonly base: string;
  readonly model: string;
  readonly submitted_at: number;
  readonly started_at: number | null;
  readonly inference_ms: number | null;
  readonly failure_code: ErrorCode | null;
  readonly failure_message: string | null;
  readonly result: string | null;
}

/** A host that has pending deliveries, and when the first of them is due. */
export type DueHost = readonly [host: string, dueAt: number];

const BEHIND_ALL_IDS = new Uint8Array(17).fill(0xff);

/** Reads deliveries. */
export class DeliveryReader {
  readonly #key = new Uint8Array(16);
  readonly #hosts;
  readonly #due;
  readonly #one;
  readonly #list;

  constructor(db: DatabaseSync) {
    // One look into the index for the next host and one for its first delivery, however many there are between.
    this.#hosts = db.prepare(
      `WITH RECURSIVE hosts (host) AS (
        SELECT (SELECT host FROM deliveries WHERE state = ${PENDING} AND host > ? ORDER BY host LIMIT 1)
        UNION ALL
        SELECT (SELECT deliveries.host FROM deliveries
          WHERE state = ${PENDING} AND deliveries.host > hosts.host ORDER BY deliveries.host LIMIT 1)
        FROM hosts WHERE hosts.host IS NOT NULL LIMIT ?
      )
      SELECT host, (SELECT min(due_at) FROM deliveries WHERE state = ${PENDING} AND deliveries.host = hosts.host)
        FROM hosts WHERE host IS NOT NULL`,
    );
    this.#hosts.setReturnArrays(true);
    this.#due = db.prepare(
      `SELECT ${WHOLE} FROM deliveries ${REQUEST} ${RESULT}
        WHERE state = ${PENDING} AND host = ? AND due_at <= ? ORDER BY due_at, deliveries.id LIMIT ?`,
    );
    this.#one = db.prepare(`SELECT ${WHOLE} FROM deliveries ${REQUEST} ${RESULT} WHERE deliveries.id = ?`);
    this.#list = db.prepare(
      `SELECT ${LISTED} FROM deliveries ${REQUEST}
        WHERE deliveries.owner = ? AND state = ? AND deliveries.id < ? ORDER BY deliveries.id DESC LIMIT ?`,
    );
  }

  /** The first hosts behind `after` that have pending deliveries. */
  hosts(after: string, limit: number): DueHost[] {
    return this.#hosts.all(after, limit) as unknown as DueHost[];
  }

  due(host: string, now: number, limit: number): Delivery[] {
    return (this.#due.all(host, now, limit) as unknown as WholeRow[]).map(toDelivery);
  }

  get(id: string, now: number): Delivery | undefined {
    const row = this.#one.get(idToBytes(id, this.#key)) as unknown as WholeRow | undefined;
    return row !== undefined && isThere(row, now) ? toDelivery(row) : undefined;
  }

  /** The owner's deliveries before an id, out of at most `limit` that are looked at; `next` is where to go on, or null at the end. */
  list(
    { owner, state, before }: { readonly owner: string; readonly state?: DeliveryState; readonly before?: string },
    now: number,
    limit: number,
  ): { readonly found: ListedDelivery[]; readonly next: string | null } {
    const from = before === undefined ? BEHIND_ALL_IDS : idToBytes(before, this.#key);
    const states = state === undefined ? [PENDING, DELIVERED, GIVEN_UP] : [STATES.indexOf(state)];
    const rows = states
      .flatMap((each) => this.#list.all(owner, each, from, limit) as unknown as ListedRow[])
      .map((row) => ({ id: idFromBytes(row.id), row }))
      .sort((a, b) => (a.id > b.id ? -1 : 1))
      .slice(0, limit);
    const found = rows.filter(({ row }) => isThere(row, now)).map(({ row }) => toListed(row));
    return { found, next: rows.length < limit ? null : rows.at(-1)!.id };
  }
}

function isThere(row: ListedRow, now: number): boolean {
  return row.state !== DELIVERED || (row.expires_at ?? -Infinity) > now;
}

function toListed(row: ListedRow): ListedDelivery {
  return {
    id: idFromBytes(row.id),
    owner: row.owner,
    event: eventOf(row.status === COMPLETED ? "COMPLETED" : "FAILED"),
    url: row.url,
    createdAt: row.finished_at,
    state: STATES[row.state]!,
    tries: row.tries,
    dueAt: row.state === PENDING ? row.due_at : null,
    attempts: JSON.parse(row.attempts) as DeliveryAttempt[],
  };
}

function toDelivery(row: WholeRow): Delivery {
  return {
    ...toListed(row),
    askedAt: row.asked_at,
    body: row.body,
    base: row.base,
    outcome: {
      model: row.model,
      status: row.status === COMPLETED ? "COMPLETED" : "FAILED",
      createdAt: row.submitted_at,
      startedAt: row.started_at,
      finishedAt: row.finished_at,
      inferenceMs: row.inference_ms,
      result: row.result === null ? null : (JSON.parse(row.result) as Result),
      failure: toFailure(row),
    },
  };
}

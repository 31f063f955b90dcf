import { DatabaseSync } from "node:sqlite";
import { idTime } from "../../core/ids.ts";
import type { PastAttempt, Priority, Request, Result, StoredInput, Webhook } from "../../core/request.ts";
import type { DeadLetter, DeadLetterWish, ExpiredRequest, ListedRequest, ListWish, RequestStatus } from "../store.ts";
import { DeliveryReader } from "./delivery-reader.ts";
import { idFromBytes, idToBytes } from "./id-bytes.ts";
import { DEAD_LETTER_STATES, INPUT_FILES, PROCESSING, STATUSES } from "./messages.ts";
import { deadLetterLister } from "./dead-letters.ts";
import { lister, type Stretch } from "./lister.ts";
import type { Entry } from "./request-index.ts";
import { STATUS_COLUMNS, toFailure, toStatus, type FailureColumns, type StatusRow } from "./status-row.ts";

/** Rows looked at in one step of a scan; some milliseconds. */
const CHUNK_ROWS = 2000;

interface ExpiredRow {
  readonly id: Uint8Array;
  readonly owner: string;
  readonly model: string;
  readonly status: number;
  readonly files: number;
}

interface InputRow {
  readonly json: string | null;
  readonly key: string | null;
}

interface RunRow extends InputRow {
  readonly crashes: number;
  readonly run_timeout_ms: number | null;
}

interface PastRow extends FailureColumns {
  readonly attempt: number;
  readonly worker: string;
  readonly started_at: number;
  readonly ended_at: number;
}

interface WholeRow extends StatusRow, InputRow {
  readonly api_key: string;
  readonly priority: Priority;
  readonly files: number;
  readonly not_before: number;
  readonly start_deadline: number | null;
  readonly attempts: number;
  readonly crashes: number;
  readonly lease_token: string | null;
  readonly lease_worker: string | null;
  readonly lease_deadline: number | null;
  readonly idempotency_key: string | null;
  readonly idempotency_digest: string | null;
  readonly webhook_json: string | null;
  readonly public_base: string | null;
  readonly run_timeout_ms: number | null;
  readonly keep_ms: number | null;
  readonly retry_of: string | null;
  readonly result_json: string | null;
  readonly dead_letter: number;
}

/** What a lease needs that the index does not hold: what is to run, how long at most, and how often a process has died of it, or with it. */
export interface Leasable {
  readonly input: StoredInput;
  readonly crashes: number;
  readonly runTimeoutMs: number | null;
}

/** What is read from the file, on a connection of its own that cannot write. Every read is one short transaction, so the log can always be copied. */
export class Reader implements Disposable {
  readonly deliveries: DeliveryReader;
  readonly #db: DatabaseSync;
  readonly #key = new Uint8Array(16);
  readonly #status;
  readonly #whole;
  readonly #input;
  readonly #past;
  readonly #list;
  readonly #newest;
  readonly #deadLetters;
  readonly #expired;
  readonly #startOverdue;
  readonly #chunkEnd;
  readonly #chunk;

  constructor(path: string) {
    const db = new DatabaseSync(path, { readOnly: true });
    this.#db = db;
    this.deliveries = new DeliveryReader(db);
    this.#status = db.prepare(`SELECT ${STATUS_COLUMNS} FROM requests WHERE id = ?`);
    this.#whole = db.prepare(
      `SELECT requests.*, inputs.json, inputs.key, inputs.idempotency_digest, inputs.webhook AS webhook_json, inputs.public_base,
        inputs.run_timeout_ms, inputs.keep_ms, inputs.retry_of, results.json AS result_json FROM requests JOIN inputs ON inputs.number = requests.input
        LEFT JOIN results ON results.number = requests.result WHERE requests.id = ?`,
    );
    this.#input = db.prepare(
      `SELECT json, key, crashes, run_timeout_ms FROM requests JOIN inputs ON inputs.number = requests.input
        WHERE requests.id = ?`,
    );
    this.#past = db.prepare(
      `SELECT attempt, worker, past_attempts.started_at, ended_at, past_attempts.failure_code, past_attempts.failure_message
        FROM requests JOIN past_attempts ON past_attempts.input = requests.input
        WHERE requests.id = ? AND expires_at > ? ORDER BY attempt`,
    );
    this.#list = lister(db);
    this.#newest = db.prepare("SELECT max(id) AS id FROM requests");
    this.#deadLetters = deadLetterLister(db);
    this.#expired = db.prepare(
      "SELECT id, owner, model, status, files FROM requests WHERE expires_at <= ? ORDER BY expires_at, id LIMIT ?",
    );
    this.#startOverdue = db.prepare(
      `SELECT id FROM requests WHERE start_deadline <= ? AND start_deadline IS NOT NULL AND status = 0 AND leases = 0
        AND expires_at > ? ORDER BY start_deadline, id LIMIT ?`,
    );
    this.#chunkEnd = db.prepare(`SELECT id FROM requests WHERE id > ? ORDER BY id LIMIT 1 OFFSET ${CHUNK_ROWS - 1}`);
    this.#chunk = db.prepare(
      `SELECT id, model, owner, status, priority, leases, created_at, expires_at, not_before, start_deadline,
        lease_deadline, started_at, api_key, crashes
        FROM requests WHERE id > ? AND id <= ? AND status < 2`,
    );
    this.#chunk.setReturnArrays(true);
  }

  /** When the newest request was made, by whatever clock; null where there is none. */
  newestAt(): number | null {
    const { id } = this.#newest.get() as { id: Uint8Array | null };
    return id === null ? null : idTime(idFromBytes(id));
  }

  status(id: string, now: number): RequestStatus | undefined {
    const row = this.#status.get(idToBytes(id, this.#key)) as unknown as StatusRow | undefined;
    return row === undefined || row.expires_at <= now ? undefined : toStatus(id, row);
  }

  request(id: string, now: number): Request | undefined {
    const row = this.#whole.get(idToBytes(id, this.#key)) as unknown as WholeRow | undefined;
    if (row === undefined || row.expires_at <= now) return undefined;
    return {
      ...toStatus(id, row),
      key: row.api_key,
      input: toInput(row),
      hasFiles: (row.files & INPUT_FILES) !== 0,
      priority: row.priority,
      notBefore: row.not_before,
      startDeadline: row.start_deadline,
      expiresAt: row.expires_at,
      idempotencyKey: row.idempotency_key,
      idempotencyDigest: row.idempotency_digest,
      runTimeoutMs: row.run_timeout_ms,
      keepMs: row.keep_ms,
      retryOf: row.retry_of,
      webhook: row.webhook_json === null ? null : (JSON.parse(row.webhook_json) as Webhook),
      publicBase: row.public_base,
      attempts: row.attempts,
      crashes: row.crashes,
      lease:
        row.lease_token === null
          ? null
          : { token: row.lease_token, worker: row.lease_worker!, deadline: row.lease_deadline! },
      worker: row.lease_worker,
      deadLetter: DEAD_LETTER_STATES[row.dead_letter]!,
      result: row.result_json === null ? null : (JSON.parse(row.result_json) as Result),
    };
  }

  leasable(id: string): Leasable | undefined {
    const row = this.#input.get(idToBytes(id, this.#key)) as unknown as RunRow | undefined;
    return row && { input: toInput(row), crashes: row.crashes, runTimeoutMs: row.run_timeout_ms };
  }

  pastAttempts(id: string, now: number): PastAttempt[] {
    const rows = this.#past.all(idToBytes(id, this.#key), now) as unknown as PastRow[];
    return rows.map((row) => {
      const { attempt, worker, started_at: startedAt, ended_at: endedAt } = row;
      return { attempt, worker, startedAt, endedAt, failure: toFailure(row) };
    });
  }

  /** The first requests of a list, out of as many rows as are looked at in one step. */
  list(wish: ListWish, now: number): Stretch<ListedRequest> {
    return this.#list(wish, now);
  }

  /** The same of dead letters. */
  deadLetters(wish: DeadLetterWish, now: number): Stretch<DeadLetter> {
    return this.#deadLetters(wish, now);
  }

  expired(now: number, limit: number): ExpiredRequest[] {
    const rows = this.#expired.all(now, limit) as unknown as ExpiredRow[];
    return rows.map(({ id, owner, model, status, files }) => {
      return { id: idFromBytes(id), owner, model, status: STATUSES[status]!, hasFiles: files !== 0 };
    });
  }

  /** Ids of requests never leased whose start deadline has passed. */
  startOverdue(now: number, limit: number): string[] {
    const rows = this.#startOverdue.all(now, now, limit) as unknown as { id: Uint8Array }[];
    return rows.map(({ id }) => idFromBytes(id));
  }

  /** All unfinished requests, in the order of their ids, a bounded step of the scan at a time. */
  *unfinished(): Generator<Unfinished[]> {
    for (let after: Uint8Array = new Uint8Array(0); ;) {
      const row = this.#chunkEnd.get(after) as unknown as { id: Uint8Array } | undefined;
      const end = row?.id ?? new Uint8Array(17).fill(0xff);
      yield this.#chunk.all(after, end).map((columns) => toEntry(columns as unknown as ChunkRow));
      if (row === undefined) return;
      after = end;
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

type ChunkRow = readonly [
  id: Uint8Array,
  model: string,
  owner: string,
  status: number,
  priority: number,
  leases: number,
  createdAt: number,
  expiresAt: number,
  notBefore: number,
  startDeadline: number | null,
  leaseDeadline: number | null,
  startedAt: number | null,
  key: string,
  crashes: number,
];

interface Unfinished {
  readonly id: Uint8Array;
  readonly entry: Entry;
  readonly crashes: number;
}

function toEntry(row: ChunkRow): Unfinished {
  const [id, model, owner, status, priority, leases, createdAt, expiresAt] = row;
  const [, , , , , , , , notBefore, startDeadline, leaseDeadline, startedAt, key, crashes] = row;
  const due = status === PROCESSING ? leaseDeadline! : notBefore;
  const entry = { model, owner, key, status, priority, leases, createdAt, expiresAt, due, startDeadline, startedAt };
  return { id, entry, crashes };
}

function toInput(row: InputRow): StoredInput {
  return row.json === null ? { key: row.key! } : { json: row.json };
}

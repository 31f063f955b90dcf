import type { DatabaseSync } from "node:sqlite";
import { isFinished } from "../../core/request.ts";
import type { PastAttempt, RequestState } from "../../core/request.ts";
import { EXPIRED, transition } from "../../core/transition.ts";
import type { Refusal, RequestEvent } from "../../core/transition.ts";
import type { DeliveryRows } from "./delivery-rows.ts";
import { idFromBytes, idToBytes } from "./id-bytes.ts";
import * as m from "./messages.ts";
import type { Answer, Operation } from "./messages.ts";

type Columns = readonly [
  status: number,
  expiresAt: number,
  notBefore: number,
  leases: number,
  attempts: number,
  crashes: number,
  token: string | null,
  worker: string | null,
  deadline: number | null,
  startedAt: number | null,
  input: number,
  webhook: number,
];

/** Stands in for a result where only the refusal of one is of interest. */
const NO_RESULT = { kind: "text", text: "", reasoning: null } as const;

/** Free pages (1 MB) kept however small the file is. */
const KEPT_PAGES = 64;

/**
 * Applies operations to the rows, inside the transaction of the caller. The hot ones (enqueue, lease,
 * complete) say `transition` in one SQL statement; whatever that statement does not match, and all
 * others, load the row, ask `transition`, and save.
 */
export function applier(db: DatabaseSync, deliveries: DeliveryRows): (operation: Operation) => Answer {
  const insertInput =
    db.prepare(`INSERT INTO inputs (json, key, idempotency_digest, webhook, public_base, run_timeout_ms, keep_ms, retry_of)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
  const deleteInput = db.prepare("DELETE FROM inputs WHERE number = ?");
  const insertResult = db.prepare("INSERT INTO results VALUES (NULL, ?)");
  const deleteResult = db.prepare("DELETE FROM results WHERE number = ?");
  const insertPast = db.prepare("INSERT INTO past_attempts VALUES (?, ?, ?, ?, ?, ?, ?)");
  const deletePast = db.prepare("DELETE FROM past_attempts WHERE input = ?");
  const findByKey = db.prepare(
    `SELECT id, idempotency_digest AS digest FROM requests JOIN inputs ON inputs.number = requests.input
      WHERE owner = ? AND idempotency_key = ? AND expires_at > ?`,
  );
  const insert = db.prepare(
    `INSERT INTO requests (id, status, model, owner, priority, files, created_at, expires_at, not_before, start_deadline,
      leases, attempts, crashes, input, idempotency_key, api_key, webhook)
      VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?)`,
  );
  const lease = db.prepare(
    `UPDATE requests SET status = 1, leases = ?, lease_token = ?, lease_worker = ?, lease_deadline = ?, started_at = ?
      WHERE id = ? AND status = 0 AND not_before <= ? AND expires_at > ?
        AND (start_deadline IS NULL OR start_deadline > ? OR leases > 0)`,
  );
  const complete = db.prepare(
    `UPDATE requests SET status = 2, attempts = attempts + 1, lease_token = NULL, lease_deadline = NULL,
      finished_at = ?, inference_ms = ?, files = files | ?, result = ? WHERE id = ? AND lease_token = ? AND expires_at > ?
        AND webhook = ?`,
  );
  const load = db.prepare(
    `SELECT status, expires_at, not_before, leases, attempts, crashes, lease_token, lease_worker, lease_deadline, started_at,
      input, webhook FROM requests WHERE id = ?`,
  );
  const save = db.prepare(
    `UPDATE requests SET status = ?, not_before = ?, leases = ?, attempts = ?, crashes = ?, lease_token = ?, lease_worker = ?,
      lease_deadline = ?, started_at = ?, finished_at = ?, inference_ms = ?, failure_code = ?, failure_message = ?,
      dead_letter = ? WHERE id = ?`,
  );
  const replayed = db.prepare("UPDATE requests SET dead_letter = 2 WHERE id = ? AND dead_letter = 1");
  const expire = db.prepare(
    `UPDATE requests SET status = 3, lease_token = NULL, lease_deadline = NULL, finished_at = ?,
      failure_code = ?, failure_message = ? WHERE id = ? AND expires_at <= ? AND status < 2 AND webhook = 1`,
  );
  // What expires with a webhook gets its outcome first.
  const remove = db.prepare(
    `DELETE FROM requests WHERE id = ? AND (expires_at > ?2) = ? AND (expires_at > ?2 OR status > 1 OR webhook = 0)
      RETURNING input, result, status, leases, webhook`,
  );
  const expireBy = db.prepare("UPDATE requests SET expires_at = min(expires_at, ?) WHERE id = ? AND expires_at > ?");
  const catchUpRequests = db.prepare("UPDATE requests SET not_before = ?1 WHERE status = 0 AND not_before > ?1");
  const catchUpDeliveries = db.prepare("UPDATE deliveries SET due_at = ?1 WHERE state = 0 AND due_at > ?1");
  const freePages = db.prepare("PRAGMA freelist_count");
  const allPages = db.prepare("PRAGMA page_count");
  for (const statement of [load, freePages, allPages]) statement.setReturnArrays(true);
  const key = new Uint8Array(16);

  function enqueue(op: Extract<Operation, readonly [typeof m.ENQUEUE, ...unknown[]]>): Answer {
    const [, id, now, model, owner, json, file, files, priority, createdAt, notBefore, startDeadline, expiresAt] = op;
    const idempotencyKey = op[13];
    if (idempotencyKey !== null) {
      const first = findByKey.get(owner, idempotencyKey, now) as { id: Uint8Array; digest: string } | undefined;
      if (first !== undefined) return { id: idFromBytes(first.id), idempotencyDigest: first.digest };
    }
    const retryOf = op[19];
    const input = insertInput.run(json, file, op[14], op[15], op[16], op[17], op[18], retryOf).lastInsertRowid;
    try {
      idToBytes(id, key);
      insert.run(
        key,
        model,
        owner,
        priority,
        files,
        createdAt,
        expiresAt,
        notBefore,
        startDeadline,
        input,
        idempotencyKey,
        op[20],
        op[15] === null ? 0 : 1,
      );
    } catch (error) {
      if (db.isTransaction) deleteInput.run(input);
      throw error;
    }
    if (retryOf !== null) replayed.run(idToBytes(retryOf, key));
    return true;
  }

  function completed(op: Extract<Operation, readonly [typeof m.COMPLETE, ...unknown[]]>): Answer {
    const [, id, now, token, json, inferenceMs, files] = op;
    const result = insertResult.run(json).lastInsertRowid;
    idToBytes(id, key);
    // Most have no webhook, and are not asked about it.
    if (complete.run(now, inferenceMs, files, result, key, token, now, 0).changes === 1) return true;
    if (complete.run(now, inferenceMs, files, result, key, token, now, 1).changes === 1) {
      deliveries.make(id, key);
      return true;
    }
    deleteResult.run(result);
    const event = { type: "complete", token, result: NO_RESULT, inferenceMs } as const;
    const why = refusal(id, event, now);
    // The statement above matches whatever `transition` would allow.
    if (why === null) throw new Error(`The row of ${id} is damaged: its lease holds but cannot be settled.`);
    return why;
  }

  function leased(op: Extract<Operation, readonly [typeof m.LEASE, ...unknown[]]>): Answer {
    const [, id, now, token, worker, deadline, attempt] = op;
    if (lease.run(attempt, token, worker, deadline, now, idToBytes(id, key), now, now, now).changes === 1) return true;
    // What only the statement above knows of: the start deadline has passed, and the sweep is about to say so.
    return refusal(id, { type: "lease", token, worker, deadline }, now) ?? "waiting";
  }

  /** Why the row does not allow `event`; null if it does. */
  function refusal(id: string, event: RequestEvent, now: number): Refusal | "unknown" | null {
    const row = load.get(idToBytes(id, key)) as unknown as Columns | undefined;
    if (row === undefined || row[1] <= now) return "unknown";
    const next = transition(toState(row), event, now);
    return next.ok ? null : next.refusal;
  }

  function evolve(id: string, event: RequestEvent, now: number, deadlineUntil: number | null = null): Answer {
    const row = load.get(idToBytes(id, key)) as unknown as Columns | undefined;
    if (row === undefined || row[1] <= now) return "unknown";
    if (deadlineUntil !== null && (row[8] ?? Infinity) > deadlineUntil) return "fenced";
    const next = transition(toState(row), event, now);
    if (!next.ok) return next.refusal;
    write(next.state);
    if (next.past) writePast(row[10], next.past);
    if (row[11] === 1 && isFinished(next.state.status)) deliveries.make(id, key);
    return m.toTuple(next.state);
  }

  function write(state: RequestState): void {
    const { status, notBefore, leases, attempts, crashes, worker, startedAt, finishedAt, inferenceMs, failure } = state;
    const { token = null, deadline = null } = state.lease ?? {};
    const { code = null, message = null } = failure ?? {};
    const place = m.STATUSES.indexOf(status);
    save.run(
      place,
      notBefore,
      leases,
      attempts,
      crashes,
      token,
      worker,
      deadline,
      startedAt,
      finishedAt,
      inferenceMs,
      code,
      message,
      m.DEAD_LETTER_STATES.indexOf(state.deadLetter),
      key,
    );
  }

  function writePast(input: number, { attempt, worker, startedAt, endedAt, failure }: PastAttempt): void {
    insertPast.run(input, attempt, worker, startedAt, endedAt, failure?.code ?? null, failure?.message ?? null);
  }

  function removed(id: string, now: number, expired: boolean): Answer {
    type Removed = { input: number; result: number | null; status: number; leases: number; webhook: number };
    let row = remove.get(idToBytes(id, key), now, expired ? 0 : 1) as Removed | undefined;
    if (row === undefined && expired && expire.run(now, EXPIRED.code, EXPIRED.message, key, now).changes === 1) {
      deliveries.make(id, key);
      row = remove.get(key, now, 0) as Removed;
    }
    if (row === undefined) return "unknown";
    deleteInput.run(row.input);
    // Most complete at their first lease, and have no past attempt.
    if (row.leases > (row.status === m.COMPLETED ? 1 : 0)) deletePast.run(row.input);
    const told = row.webhook === 1 && !deliveries.requestRemoved(key);
    if (row.result !== null && !told) deleteResult.run(row.result);
    return true;
  }

  /** Gives up to `pages` free pages back to the file system while they are more than a quarter of the file: the rest is used again. */
  function vacuum(pages: number): Answer {
    const free = (freePages.get() as unknown as [number])[0];
    const all = (allPages.get() as unknown as [number])[0];
    const spare = Math.min(pages, free - Math.max(KEPT_PAGES, all >> 2));
    if (spare > 0) db.exec(`PRAGMA incremental_vacuum(${spare})`);
    return true;
  }

  return (op) => {
    const id = op[1];
    const now = op[2];
    switch (op[0]) {
      case m.ENQUEUE:
        return enqueue(op);
      case m.LEASE:
        return leased(op);
      case m.HEARTBEAT:
        return evolve(id, { type: "heartbeat", token: op[3], deadline: op[4] }, now);
      case m.COMPLETE:
        return completed(op);
      case m.FAIL: {
        const [, , , token, kind, code, message, inferenceMs, retryAfterMs, retries] = op;
        const retry = retryAfterMs === null ? {} : { retryAfterMs };
        return evolve(
          id,
          { type: "fail", token, kind, failure: { code, message }, inferenceMs, ...retry, retries },
          now,
        );
      }
      case m.RELEASE:
        return evolve(id, { type: "release", token: op[3] }, now);
      case m.LOST:
        return evolve(id, { type: "lost", retries: op[4] }, now, op[3]);
      case m.CANCEL:
        return evolve(id, { type: "cancel", failure: { code: op[3], message: op[4] } }, now);
      case m.START_TIMEOUT:
        return evolve(id, { type: "startTimeout", failure: { code: "start_timeout", message: op[3] } }, now);
      case m.DELETE:
      case m.EXPIRE:
        return removed(id, now, op[0] === m.EXPIRE);
      case m.EXPIRE_BY:
        return expireBy.run(op[3], idToBytes(id, key), now).changes === 1 ? true : "unknown";
      case m.VACUUM:
        return vacuum(op[3]);
      case m.CATCH_UP:
        catchUpRequests.run(now);
        catchUpDeliveries.run(now);
        return true;
      case m.MARK: {
        const [, , , type, dueAt, at, tookMs, status, error] = op;
        return deliveries.mark(idToBytes(id, key), type, dueAt, { at, tookMs, status, error });
      }
      case m.GIVE_UP:
        return deliveries.giveUp(op[3], op[4], op[5]);
      case m.REDELIVER:
        return deliveries.redeliver(id, idToBytes(id, key), now);
    }
  };
}

/** A row's changing part. Finished rows stay as they are, so what only they hold is not read. */
function toState(row: Columns): RequestState {
  const [status, , notBefore, leases, attempts, crashes, token, worker, deadline, startedAt] = row;
  return {
    status: m.STATUSES[status]!,
    attempts,
    leases,
    crashes,
    notBefore,
    lease: token === null ? null : { token, worker: worker!, deadline: deadline! },
    worker,
    startedAt,
    finishedAt: null,
    inferenceMs: null,
    result: null,
    failure: null,
    deadLetter: null,
  };
}

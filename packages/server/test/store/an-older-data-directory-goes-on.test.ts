/** Requests that older versions wrote, in every state, in files made by what those versions ran: the first migrations. */
import type { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Status } from "../../src/core/request.ts";
import { idToBytes } from "../../src/store/sqlite/id-bytes.ts";
import { MIGRATIONS, openForWriting } from "../../src/store/sqlite/schema.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";

const wish = { worker: "w1", capacity: new Map([["mock", 10]]), leaseMs: 1_000, durable: true };
const yes = { kind: "text", text: "Yes.", reasoning: null } as const;

it.each([1, 2])(
  "of schema %i, with its requests in every state, as if they had been submitted today",
  async (schema) => {
    const path = directory();
    const clock = manualClock();
    const now = clock.now();
    const submission = submissionMaker(clock);
    const [waiting, again, running, done, failed, keyed] = Array.from({ length: 6 }, () => submission().id) as [
    string, string, string, string, string, string,
  ]; // prettier-ignore
    {
      using db = openForWriting(join(path, "inferq.db"), MIGRATIONS.slice(0, schema));
      const old = oldFile(db, now);
      old.add(waiting, "QUEUED", {});
      old.add(again, "QUEUED", { leases: 1, attempts: 1, crashes: 1 });
      old.add(running, "PROCESSING", { leases: 2, attempts: 1, lease_token: "t", lease_worker: "w0", lease_deadline: now + 9_000, started_at: now }); // prettier-ignore
      old.add(done, "COMPLETED", { leases: 1, attempts: 1, started_at: now, finished_at: now, inference_ms: 7, result: old.result(yes) }); // prettier-ignore
      old.add(failed, "FAILED", { leases: 1, attempts: 1, started_at: now, finished_at: now, failure_code: "model_error", failure_message: "No." }); // prettier-ignore
      old.add(keyed, "QUEUED", { idempotency_key: "k", start_deadline: now + 60_000 });
    }

    await using store = await sqliteStore({ directory: path, clock });
    await store.loaded();
    expect(await store.list({ owner: "alice", limit: 10 })).toMatchObject({
      requests: [keyed, failed, done, running, again, waiting].map((id) => ({ id, retryOf: null })),
      next: null,
    });
    expect(await store.get(waiting)).toMatchObject({
      status: "QUEUED",
      runTimeoutMs: null,
      keepMs: null,
      retryOf: null,
    });
    expect(await store.get(done)).toMatchObject({ status: "COMPLETED", result: yes, inferenceMs: 7 });
    expect(await store.get(failed)).toMatchObject({
      status: "FAILED",
      failure: { code: "model_error", message: "No." },
    });

    const asked = submission({ idempotencyKey: "k", idempotencyDigest: "new" });
    expect(await store.enqueue(asked)).toEqual({ ok: false, id: keyed, idempotencyDigest: "old" });

    // The lease of the process before is lost, and what is told of attempts begins with it.
    expect(await store.pastAttempts(again)).toEqual([]);
    expect(await store.pastAttempts(running)).toMatchObject([
      { attempt: 2, worker: "w0", failure: { code: "lease_lost" } },
    ]);
    clock.advance(5_000);
    const leases = await store.lease(wish);
    expect(leases.map(({ id, attempt, runTimeoutMs }) => [id, attempt, runTimeoutMs])).toEqual([
      [waiting, 1, null],
      [again, 2, null],
      [running, 3, null],
      [keyed, 1, null],
    ]);
    for (const { id, token } of leases) {
      const settled = await store.settle(id, token, { type: "complete", result: yes, inferenceMs: 1, hasFiles: false });
      expect(settled).toEqual({ ok: true, status: "COMPLETED" });
    }
    // Nobody was to be told of them.
    expect(await store.deliveries.list({ owner: "alice", limit: 10 })).toEqual({ deliveries: [], next: null });
    for (const id of [waiting, again, running, done, failed, keyed]) {
      expect(await store.expireBy(id, clock.now())).toBe(true);
      expect(await store.finish(id, { type: "expire" })).toBe(true);
    }
    expect(await store.list({ owner: "alice", limit: 10 })).toEqual({ requests: [], next: null });
  },
);

/** Writes rows as the first schema has them. */
function oldFile(db: DatabaseSync, now: number) {
  const statuses: Status[] = ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"];
  return {
    result(result: object): number {
      const { lastInsertRowid } = db.prepare("INSERT INTO results (json) VALUES (?)").run(JSON.stringify(result));
      return Number(lastInsertRowid);
    },
    add(id: string, status: Status, over: Record<string, string | number>): void {
      const { lastInsertRowid: input } = db.prepare("INSERT INTO inputs (json, idempotency_digest) VALUES ('{}', 'old')").run(); // prettier-ignore
      const row = {
        id: idToBytes(id, new Uint8Array(16)),
        status: statuses.indexOf(status),
        model: "mock",
        owner: "alice",
        priority: 0,
        files: 0,
        created_at: now,
        expires_at: now + 3_600_000,
        not_before: now,
        leases: 0,
        attempts: 0,
        crashes: 0,
        input,
        ...over,
      };
      const places = Object.keys(row).map(() => "?");
      db.prepare(`INSERT INTO requests (${Object.keys(row).join()}) VALUES (${places.join()})`).run(...Object.values(row)); // prettier-ignore
    },
  };
}

/**
 * Measures the sqlite store without HTTP: durable submits, whole cycles, status polls, and the same
 * with many requests waiting. `node --conditions=@inferq/source bench/store.ts [--waiting 1000000] [--seconds 3]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { systemClock } from "../packages/server/src/core/clock.ts";
import type { Result, Submission } from "../packages/server/src/core/request.ts";
import { sqliteStore } from "../packages/server/src/store/sqlite/sqlite-store.ts";
import type { SqliteStore } from "../packages/server/src/store/sqlite/sqlite-store.ts";
import { submissionMaker } from "../packages/server/src/testing/submission.ts";

const { values } = parseArgs({
  options: { waiting: { type: "string", default: "0" }, seconds: { type: "string", default: "3" } },
});
const waiting = Number(values.waiting);
const runMs = Number(values.seconds) * 1000;

const clock = systemClock();
const directory = mkdtempSync(join(tmpdir(), "inferq-bench-"));
const nextSubmission = submissionMaker(clock);
const input = { json: JSON.stringify({ prompt: "a red rose ".repeat(90) }) };
const result: Result = { kind: "text", text: "word ".repeat(400), reasoning: null };
const rows: Record<string, string | number>[] = [];

/** Runs `step` in `lanes` loops side by side for the time given, and notes rate and latency. */
async function measure(what: string, lanes: number, step: () => unknown): Promise<void> {
  const latencies: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const lane = async (): Promise<void> => {
    for (let now = performance.now(); now - startedAt < runMs;) {
      await step();
      const after = performance.now();
      latencies.push(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  rows.push({
    what,
    lanes,
    "per s": Math.round(latencies.length / seconds),
    "p50 ms": Number(latencies[latencies.length >> 1]!.toFixed(2)),
    "p99 ms": Number(latencies[Math.floor(latencies.length * 0.99)]!.toFixed(2)),
    "loop delay p99 ms": Number((delay.percentile(99) / 1e6).toFixed(1)),
    "cpu s/s": Number(((user + system) / 1e6 / seconds).toFixed(2)),
  });
}

function submission(): Submission {
  return { ...nextSubmission(), input };
}

async function cycles(store: SqliteStore, lanes: number): Promise<void> {
  await measure("submit + lease + settle + status", lanes, async () => {
    const asked = { ...submission(), model: "cycle" };
    await store.enqueue(asked);
    const leases = await store.lease({
      worker: "w",
      capacity: new Map([["cycle", 1]]),
      leaseMs: 30_000,
      durable: false,
    });
    for (const { id, token } of leases) {
      await store.settle(id, token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
      store.status(id);
    }
  });
}

async function fill(store: SqliteStore, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 2000) {
    await Promise.all(
      Array.from({ length: Math.min(left, 2000) }, () => store.enqueue({ ...submission(), model: "deep" })),
    );
  }
}

async function rates(store: SqliteStore, suffix: string): Promise<void> {
  for (const lanes of [1, 64, 512]) await measure(`submit${suffix}`, lanes, () => store.enqueue(submission()));
  await cycles(store, 64);
  const { id } = submission();
  await store.enqueue({ ...submission(), id });
  await measure(`1000 status polls${suffix}`, 1, async () => {
    for (let i = 0; i < 1000; i++) store.status(id);
    await new Promise((resolve) => setImmediate(resolve));
  });
  await measure(`lease one of ${suffix === "" ? "the above" : "many"}`, 16, async () => {
    await store.lease({
      worker: "w",
      capacity: new Map([[suffix === "" ? "mock" : "deep", 1]]),
      leaseMs: 600_000,
      durable: true,
    });
  });
}

try {
  let store = await sqliteStore({ directory, clock });
  if (waiting > 0) {
    const startedAt = performance.now();
    await fill(store, waiting);
    console.log(`${waiting} submitted in ${Math.round(performance.now() - startedAt)} ms`);
    const some = submission();
    await store.enqueue(some);
    await store[Symbol.asyncDispose]();
    const restartAt = performance.now();
    store = await sqliteStore({ directory, clock });
    store.status(some.id);
    const firstAt = performance.now();
    await store.enqueue(submission());
    const submitAt = performance.now();
    await store.loaded();
    const ms = [firstAt, submitAt, performance.now()].map((at) => Math.round(at - restartAt));
    console.log(`restart: first status after ${ms[0]} ms, first submit after ${ms[1]} ms, loaded after ${ms[2]} ms`);
  }
  await rates(store, waiting > 0 ? ` (${waiting} waiting)` : "");
  console.table(rows);
  const { bytes } = store.stats();
  console.log(`${Math.round(bytes / 2 ** 20)} MB on disk, RSS ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`);
  await store[Symbol.asyncDispose]();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

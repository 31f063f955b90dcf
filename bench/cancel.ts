/** How soon a cancel stops the model: one that minds its signal, and one that must be killed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, httpRequest } from "./connection.ts";
import { type Figure, number } from "./figures.ts";
import type { Bench } from "./measure.ts";
import { HEADERS, Server } from "./processes.ts";

/** The runner's grace and the second that may follow it. */
const MOST_MS = 6_000;
const LOOK_EVERY_MS = 2;

export async function cancelled(bench: Bench): Promise<Figure[]> {
  const processes = bench.quick ? 4 : 16;
  const module = join(import.meta.dirname, "stubborn.ts");
  await using server = await Server.start(bench.ground, {
    models: [{ module, runner: "process", concurrency: 1, processes }],
    logLevel: "warn",
  });
  const times = { minds: [] as number[], killed: [] as number[] };
  for (let round = 0; round < (bench.quick ? 1 : 12); round++) {
    times.minds.push(...(await cancelAll(server, processes, true)));
    times.killed.push(...(await cancelAll(server, processes, false)));
  }
  return [
    figure("from the cancel until a model that minds it stops, p99", 1_000, times.minds),
    figure("from the cancel until the process of one that does not is gone, p99", MOST_MS, times.killed),
  ];
}

function figure(what: string, below: number, times: readonly number[]): Figure {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1]!;
  const detail = `p50 ${number(at(0.5))} ms, longest ${number(at(1))} ms, of ${times.length}`;
  return { what, target: { below }, got: at(0.99), unit: "ms", detail, raw: { times } };
}

/** Runs one request in each process and cancels all of them at once; answers how long each took to stop, ms. */
async function cancelAll(server: Server, count: number, minds: boolean): Promise<number[]> {
  const cancels = await Promise.all(Array.from({ length: count }, () => run(server, minds)));
  return await Promise.all(cancels.map((cancel) => cancel()));
}

/** Begins a run; answers what cancels it, and says how long it took until the run, or its process, was no more, ms. */
async function run(server: Server, minds: boolean): Promise<() => Promise<number>> {
  const connection = await Connection.open(server.port);
  const witness = join(server.dataDir, `witness-${crypto.randomUUID()}`);
  const submit = httpRequest("/v2/stubborn", HEADERS, JSON.stringify({ minds, witness }));
  const { request_id: id } = JSON.parse((await connection.ask(submit)).body) as { request_id: string };
  const [pid] = await lines(witness, 1);
  return async () => {
    const begun = Date.now();
    const answer = await connection.ask(httpRequest(`/v2/requests/${id}/cancel`, HEADERS, "{}"));
    connection.close();
    if (answer.status !== 200) throw new Error(`Expected 200, got ${answer.status}: ${answer.body}`);
    if (minds) return (await lines(witness, 2))[1]! - begun;
    while (isAlive(pid!)) await sleep(LOOK_EVERY_MS);
    return Date.now() - begun;
  };
}

/** The numbers in `path`, once there are `count`. */
async function lines(path: string, count: number): Promise<number[]> {
  for (const until = performance.now() + 60_000; performance.now() < until; await sleep(LOOK_EVERY_MS)) {
    const found = tryRead(path).split("\n").slice(0, -1).map(Number);
    if (found.length === count) return found;
  }
  throw new Error(`${path} has not ${count} lines after a minute.`);
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the run has not begun
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

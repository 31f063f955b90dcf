/**
 * The load generator: a process that takes one plan as a message, carries it out over raw sockets,
 * and answers with one report. It ends when its parent does.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, httpRequest } from "./connection.ts";
import type { Answer } from "./connection.ts";
import type { Plan, Report } from "./plan.ts";

/** Counts what falls into the window [warm-up, warm-up + seconds). */
class Tally {
  readonly #from: number;
  readonly #until: number;
  readonly #perSecond: number[];
  readonly #latencies: number[] = [];
  readonly #answers: Record<string, number> = {};
  #cpuAtStart = process.cpuUsage();

  constructor(plan: Plan) {
    this.#from = performance.now() + plan.warmupSeconds * 1000;
    this.#until = this.#from + plan.seconds * 1000;
    this.#perSecond = Array.from({ length: Math.ceil(plan.seconds) }, () => 0);
    setTimeout(() => (this.#cpuAtStart = process.cpuUsage()), plan.warmupSeconds * 1000);
  }

  get over(): boolean {
    return performance.now() >= this.#until;
  }

  /** Notes an answer; throws if its status is not the expected one, for a figure made of errors is none. */
  answered(answer: Answer): void {
    this.#answers[answer.status] = (this.#answers[answer.status] ?? 0) + 1;
    if (answer.status !== 200) throw new Error(`Expected 200, got ${answer.status}: ${answer.body}`);
  }

  count(beganAt?: number): void {
    const now = performance.now();
    if (now < this.#from || now >= this.#until) return;
    const second = Math.floor((now - this.#from) / 1000);
    this.#perSecond[second] = (this.#perSecond[second] ?? 0) + 1;
    if (beganAt !== undefined) this.#latencies.push(now - beganAt);
  }

  report(): Report {
    const cpu = process.cpuUsage(this.#cpuAtStart);
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return {
      seconds: (this.#until - this.#from) / 1000,
      counted: this.#perSecond.reduce((sum, n) => sum + n, 0),
      perSecond: this.#perSecond,
      answers: this.#answers,
      latencyMs: sorted.length > 0 ? { p50: at(0.5), p99: at(0.99), max: at(1) } : null,
      cpuShare: (cpu.user + cpu.system) / 1000 / (this.#until - this.#from),
    };
  }
}

async function carryOut(plan: Plan): Promise<Report> {
  const lanes = plan.kind === "latency" ? 1 : plan.kind === "complete" ? plan.outstanding : plan.connections;
  const connections = await Promise.all(Array.from({ length: lanes }, () => Connection.open(plan.port)));
  const tally = new Tally(plan);
  const run = lane(plan, tally);
  await Promise.all(connections.map(run));
  for (const connection of connections) connection.close();
  return tally.report();
}

/** What one connection does until the window is over. */
function lane(plan: Plan, tally: Tally): (connection: Connection) => Promise<void> {
  switch (plan.kind) {
    case "poll": {
      const polls = plan.paths.map((path) => httpRequest(path, plan.headers));
      return repeat(tally, turns(polls));
    }
    case "submit":
      return repeat(tally, turns([httpRequest(plan.path, plan.headers, plan.body)]));
    case "complete": {
      const turn = pace(plan.ratePerSecond ?? Infinity);
      const completeOne = completer(plan, tally, plan.pollMs);
      return async (connection) => {
        while (!tally.over) {
          await turn();
          await completeOne(connection);
        }
      };
    }
    case "latency": {
      const completeOne = completer(plan, tally, 0);
      return async (connection) => {
        while (!tally.over) await completeOne(connection);
      };
    }
  }
}

/** The same over and over: the next request, its answer, one more for the count. */
function repeat(tally: Tally, next: () => Buffer): (connection: Connection) => Promise<void> {
  return async (connection) => {
    while (!tally.over) {
      tally.answered(await connection.ask(next()));
      tally.count();
    }
  };
}

function turns(requests: readonly Buffer[]): () => Buffer {
  let next = 0;
  return () => requests[next++ % requests.length]!;
}

/**
 * Submits one request and polls it until it is COMPLETED. The first poll goes out `pollMs` after the
 * submit's answer, each later one `pollMs` after the answer to the one before.
 */
function completer(
  plan: Plan & { readonly path: string; readonly body: string },
  tally: Tally,
  pollMs: number,
): (connection: Connection) => Promise<void> {
  const submit = httpRequest(plan.path, plan.headers, plan.body);
  return async (connection) => {
    const beganAt = performance.now();
    const submitted = await connection.ask(submit);
    tally.answered(submitted);
    const poll = httpRequest(`/v2/requests/${requestId(submitted)}/status`, plan.headers);
    for (;;) {
      if (pollMs > 0) await sleep(pollMs);
      const answer = await connection.ask(poll);
      tally.answered(answer);
      if (answer.body.includes('"status":"COMPLETED"')) return tally.count(beganAt);
    }
  };
}

function requestId(submitted: Answer): string {
  const id = /"request_id":"([^"]+)"/.exec(submitted.body)?.[1];
  if (id === undefined) throw new Error(`Expected a request_id in the answer to a submit, got: ${submitted.body}`);
  return id;
}

/** Lets callers through one by one, no more than `ratePerSecond`; time that passed unused is not made up for. */
function pace(ratePerSecond: number): () => Promise<void> {
  let free = performance.now();
  return async () => {
    const now = performance.now();
    const mine = Math.max(free, now);
    free = mine + 1000 / ratePerSecond;
    if (mine - now >= 1) await sleep(mine - now);
  };
}

process.on("disconnect", () => process.exit(1));
process.once("message", (plan: Plan) => {
  carryOut(plan).then(
    (report) => process.send!({ report }, () => process.exit(0)),
    (error: unknown) =>
      process.send!({ error: error instanceof Error ? error.message : String(error) }, () => process.exit(1)),
  );
});

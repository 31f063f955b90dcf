/** Ten thousand connections that wait (`?wait=`): what they cost, and how soon they are told. */
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Figure, number } from "./figures.ts";
import { type Bench, LANES, SLEEPING, SUBMIT, TEXT, inline } from "./measure.ts";
import { Connection, httpRequest } from "./connection.ts";
import { HEADERS, Server, message } from "./processes.ts";
import { cpuSeconds, memory } from "./server-facts.ts";
import type { Waited, WaitersOrder, WaitersReport } from "./waiters.ts";

/** Longer than the bench takes: nobody is to be answered because its time is over. */
const WAIT_SECONDS = 600;

interface Told {
  readonly rssMb: number;
  /** Share of a core that the server used while all waited. */
  readonly cpu: number;
  /** From each completion until its waiter had read it, ms, sorted. */
  readonly lagsMs: readonly number[];
}

export async function waited(bench: Bench): Promise<Figure[]> {
  const count = bench.quick ? 1_000 : 10_000;
  checkDescriptors(count + 500);
  await using server = await Server.start(bench.ground, { ...inline, waitLimitSeconds: WAIT_SECONDS });
  const before = memory(server).server;
  // As many as run at once, so that what follows waits until they are cancelled.
  const [first, ...others] = await submit(server, SLEEPING, LANES);
  const [one] = await submit(server, TEXT, 1);
  const everybody = Array.from({ length: count }, () => one!);
  const same = await tell(bench, server, everybody, () => cancel(server, [first!]));
  const [again] = await submit(server, SLEEPING, 1);
  const own = await submit(server, TEXT, count);
  const each = await tell(bench, server, own, () => cancel(server, [again!, ...others]));
  const share = (cpu: number): string => `${number(cpu * 100)} % of a core meanwhile`;
  const rss = Math.max(same.rssMb, each.rssMb);
  return [
    {
      what: `RSS with ${number(count)} connections that wait`,
      target: { below: 300 },
      got: rss,
      unit: "MB",
      detail:
        `${number(before)} MB before; all for one request: ${number(same.rssMb)} MB, ${share(same.cpu)}; ` +
        `each for its own: ${number(each.rssMb)} MB, ${share(each.cpu)}`,
      raw: { before, same, each },
    },
    figure(`${number(count)} wait for one request: the last is told after`, same),
    figure(`${number(count)} wait for one each, all completed at once: longest from outcome to answer`, each),
  ];
}

function figure(what: string, { lagsMs }: Told): Figure {
  const at = (share: number): number => lagsMs[Math.floor((lagsMs.length - 1) * share)]!;
  const detail = `p50 ${number(at(0.5))} ms, p99 ${number(at(0.99))} ms`;
  return { what, target: { below: 1_000 }, got: at(1), unit: "ms", detail, raw: {} };
}

/** Lets one connection wait for each of `ids`, looks at the server for a while, and then has them completed. */
async function tell(
  bench: Bench,
  server: Server,
  ids: readonly string[],
  complete: () => Promise<void>,
): Promise<Told> {
  const child = fork(join(import.meta.dirname, "waiters.ts"));
  bench.ground.watch(child);
  const paths = ids.map((id) => `/v2/requests/${id}/status?wait=${WAIT_SECONDS}`);
  child.send({ port: server.port, headers: HEADERS, paths } satisfies WaitersOrder);
  expectNoError(await message<WaitersReport>(child, 60_000));
  await sleep(2_000); // until the server has taken them all
  const [seconds, cpu] = [bench.seconds * 2, cpuSeconds(server)];
  await sleep(seconds * 1000);
  const share = (cpuSeconds(server) - cpu) / seconds;
  const rssMb = memory(server).server;
  const answered = message<WaitersReport>(child, 60_000);
  await complete();
  const report = await answered;
  expectNoError(report);
  const { answers } = report as { answers: Waited[] };
  const unfinished = answers.find(({ body }) => !body.includes('"status":"COMPLETED"'));
  if (unfinished !== undefined) throw new Error(`A wait ended early, with ${unfinished.status}: ${unfinished.body}`);
  return { rssMb, cpu: share, lagsMs: answers.map((one) => one.at - finishedAt(one)).sort((a, b) => a - b) };
}

function expectNoError(report: WaitersReport): void {
  if ("error" in report) throw new Error(`The waiting clients stopped: ${report.error}`);
}

/** The time of an outcome, from the id (made at the submit) and `total_time`. */
function finishedAt({ body }: Waited): number {
  const { request_id: id, metrics } = JSON.parse(body) as { request_id: string; metrics: { total_time: number } };
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) + metrics.total_time * 1000;
}

async function submit(server: Server, body: string, count: number): Promise<string[]> {
  const request = httpRequest(SUBMIT, HEADERS, body);
  const bodies = await inTurn(
    server,
    Array.from({ length: count }, () => request),
  );
  return bodies.map((text) => (JSON.parse(text) as { request_id: string }).request_id);
}

async function cancel(server: Server, ids: readonly string[]): Promise<void> {
  await inTurn(
    server,
    ids.map((id) => httpRequest(`/v2/requests/${id}/cancel`, HEADERS, "{}")),
  );
}

/** Sends the requests over some connections; answers the bodies in their order. */
async function inTurn(server: Server, requests: readonly Buffer[]): Promise<string[]> {
  const bodies: string[] = [];
  const left = requests.entries();
  const lane = async (): Promise<void> => {
    const connection = await Connection.open(server.port);
    for (const [i, request] of left) {
      const { status, body } = await connection.ask(request);
      if (status !== 200) throw new Error(`Expected 200, got ${status}: ${body}`);
      bodies[i] = body;
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return bodies;
}

/** Server and clients each hold `count` connections; Node raises the soft limit to the hard one by itself. */
function checkDescriptors(count: number): void {
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  if (Number(hard) < count) {
    throw new Error(`The wait part needs ${count} open files, the limit is ${hard}. Raise it: ulimit -Hn ${count}`);
  }
}

/** Ten thousand connections that are to be told of an outcome: what they cost, and how soon they are told. */
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "inferq";
import { type Figure, number } from "./figures.ts";
import { type Bench, LANES, SLEEPING, SUBMIT, TEXT } from "./measure.ts";
import { Connection, httpRequest } from "./connection.ts";
import { HEADERS, Server, message } from "./processes.ts";
import { cpuSeconds, memory } from "./server-facts.ts";
import type { Waited, WaitersOrder, WaitersReport } from "./waiters.ts";

const ANSWER_MS = 60_000;
/** Descriptors that a server keeps from connections; see server/bound-connections.ts. */
const SPARED = 1_200;

interface Told {
  readonly beforeMb: number;
  /** As soon as all had come. */
  readonly atOnceMb: number;
  /** A minute later. */
  readonly rssMb: number;
  /** Share of a core that the server used while all waited. */
  readonly cpu: number;
  /** From each completion until its waiter had read it, ms, sorted. */
  readonly lagsMs: readonly number[];
}

/** How the connections ask. */
export interface Asking {
  /** What they do, for people: `wait`, say. */
  readonly verb: string;
  /** The program that holds their clients; it takes a `WaitersOrder`. */
  readonly clients: string;
  readonly pathOf: (id: string) => string;
  readonly config: Config;
  /** Most memory for all that ask about one request, MB. */
  readonly rssBelow: number;
}

export async function crowd(bench: Bench, asking: Asking): Promise<Figure[]> {
  const count = bench.quick ? 1_000 : 10_000;
  checkDescriptors(count + SPARED);
  const same = await tell(bench, asking, count, 1);
  const each = await tell(bench, asking, count, count);
  const who = `${number(count)} connections that ${asking.verb}`;
  return [
    ...figures(`${who} one request`, same, { target: { below: asking.rssBelow } }),
    ...figures(`${who} one each`, each, {}), // these requests take room, too
  ];
}

function figures(who: string, told: Told, bound: Pick<Figure, "target">): Figure[] {
  const at = (share: number): number => told.lagsMs[Math.floor((told.lagsMs.length - 1) * share)]!;
  return [
    {
      what: `RSS with ${who}`,
      ...bound,
      got: told.rssMb,
      unit: "MB",
      detail:
        `${number(told.beforeMb)} MB before they came, ${number(told.atOnceMb)} MB at once; ` +
        `${number(told.cpu * 100)} % of a core meanwhile`,
      raw: { ...told, lagsMs: [] },
    },
    {
      what: `${who}: longest from the outcome to the answer read`,
      target: { below: 1_000 },
      got: at(1),
      unit: "ms",
      detail: `p50 ${number(at(0.5))} ms, p99 ${number(at(0.99))} ms`,
      raw: { p50: at(0.5), p99: at(0.99) },
    },
  ];
}

/** On a server of their own: `count` connections ask about `requests` requests, which are then completed. */
async function tell(bench: Bench, { clients, pathOf, config }: Asking, count: number, requests: number): Promise<Told> {
  await using server = await Server.start(bench.ground, config);
  // As many as run at once, so that what follows waits until they are cancelled.
  const sleeping = await submit(server, SLEEPING, LANES);
  const ids = await submit(server, TEXT, requests);
  const beforeMb = memory(server).server;
  const child = fork(join(import.meta.dirname, clients));
  bench.ground.watch(child);
  const paths = Array.from({ length: count }, (_, i) => pathOf(ids[i % requests]!));
  child.send({ port: server.port, headers: HEADERS, paths } satisfies WaitersOrder);
  expectNoError(await message<WaitersReport>(child, ANSWER_MS));

  await sleep(2_000); // until the server has read what they ask
  const [cpu, atOnceMb, seconds] = [cpuSeconds(server), memory(server).server, bench.quick ? 5 : 60];
  await sleep(seconds * 1000); // until V8, idle, has given back what it took while they came
  const told = { beforeMb, atOnceMb, rssMb: memory(server).server, cpu: (cpuSeconds(server) - cpu) / seconds };
  const answered = message<WaitersReport>(child, ANSWER_MS);
  await cancel(server, sleeping);
  const report = await answered;
  expectNoError(report);
  const { answers } = report as { answers: Waited[] };
  const unfinished = answers.find(({ body }) => !body.includes('"status":"COMPLETED"'));
  if (unfinished !== undefined)
    throw new Error(`Somebody was told early, with ${unfinished.status}: ${unfinished.body}`);
  return { ...told, lagsMs: answers.map((one) => one.at - finishedAt(one)).sort((a, b) => a - b) };
}

function expectNoError(report: WaitersReport): void {
  if ("error" in report) throw new Error(`The clients stopped: ${report.error}`);
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
    throw new Error(`This part needs ${count} open files, the limit is ${hard}. Raise it: ulimit -Hn ${count}`);
  }
}

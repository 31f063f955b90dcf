/** The measurements, one function for each group of figures. README.md says how each thing is counted. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "inferq";
import { type Answer, Connection, httpRequest } from "./connection.ts";
import { type Figure, median, number } from "./figures.ts";
import { floorOf } from "./floor-answers.ts";
import { type Ground, HEADERS, Server, ask, load } from "./processes.ts";
import type { Report } from "./plan.ts";
import { memory, metric } from "./server-facts.ts";

export interface Bench {
  readonly ground: Ground;
  /** Length of one measured window. */
  readonly seconds: number;
  /** Windows of each kind; their median is the figure. */
  readonly rounds: number;
  readonly quick: boolean;
  /** A checkout of another commit, installed, to measure against. */
  readonly against: string | undefined;
}

const MODEL = "inferq/mock-inference";
export const SUBMIT = "/v2/mock-inference";
/** Occupies the one place that `waiting` gives it, so that everything behind it waits. */
export const SLEEPING = JSON.stringify({ sleep: 600 });
export const TEXT = JSON.stringify({ kind: "text" });
const IMAGE = JSON.stringify({ kind: "image" });
export const LANES = 64;

/** Runs one request at a time: with sleeping ones nothing is settled while submits and polls are measured. */
export const waiting: Config = { models: [{ module: MODEL, runner: "inline", concurrency: 1 }], stopGraceSeconds: 0 };
export const inline: Config = { models: [{ module: MODEL, runner: "inline", concurrency: LANES }] };
const childProcess: Config = { models: [{ module: MODEL, runner: "process", concurrency: LANES, processes: 1 }] };

export function timing(bench: Bench, port: number) {
  return { port, headers: HEADERS, warmupSeconds: Math.min(2, bench.seconds), seconds: bench.seconds };
}

export const rate = (report: Report): number => report.counted / report.seconds;

/** Status polls and durable submits against the floor, in turn: floor, server, floor, server, floor. */
export async function polledAndSubmitted(bench: Bench): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, waiting);
  const paths = await queued(server, 1_000);
  const submitted = await ask(server.port, httpRequest(SUBMIT, HEADERS, SLEEPING));
  await using floor = await floorOf(server.port, paths[0]!, submitted);
  // The machine changes from second to second: many short windows, each beside its floor.
  const [rounds, seconds] = [bench.quick ? 1 : 2 * bench.rounds + 1, bench.seconds / 2];
  const at = (port: number) => ({ ...timing(bench, port), seconds });
  const poll = (port: number) => load({ ...at(port), kind: "poll", connections: LANES, paths });
  const submit = (port: number) =>
    load({ ...at(port), kind: "submit", connections: LANES, path: SUBMIT, body: SLEEPING });
  const polls = await against(
    "floor",
    rounds,
    () => poll(server.port),
    () => poll(floor.port),
  );
  const submits = await against(
    "floor",
    rounds,
    () => submit(server.port),
    () => submit(floor.port),
  );
  return [
    { what: "status polls, against the floor's GET", target: { atLeast: 0.8 }, ...polls },
    { what: "durable submits at 64 in flight, against the floor's POST", target: { atLeast: 0.6 }, ...submits },
    { what: "RSS after these submits", got: memory(server).server, unit: "MB", detail: "", raw: {} },
  ];
}

type Compared = Pick<Figure, "got" | "unit" | "detail" | "raw">;

/** The median of what is measured over the mean of the base before and after it. */
export async function against(
  baseName: string,
  rounds: number,
  measure: () => Promise<Report>,
  measureBase: () => Promise<Report>,
): Promise<Compared> {
  const bases = [await measureBase()];
  const reports: Report[] = [];
  for (let round = 0; round < rounds; round++) {
    reports.push(await measure());
    bases.push(await measureBase());
  }
  const ratios = reports.map((report, i) => (2 * rate(report)) / (rate(bases[i]!) + rate(bases[i + 1]!)));
  const generator = Math.max(...[...reports, ...bases].map((report) => report.cpuShare));
  return {
    got: median(ratios),
    unit: "",
    detail:
      `${number(median(reports.map(rate)))}/s, ${baseName} ${number(median(bases.map(rate)))}/s, ` +
      `ratios ${ratios.map(number).join(" ")}, generator at most ${Math.round(generator * 100)} % of a core`,
    raw: { reports, bases, ratios },
  };
}

/** Submits `count` requests that will wait; answers their status paths. */
export async function queued(server: Server, count: number): Promise<string[]> {
  const connection = await Connection.open(server.port);
  const paths: string[] = [];
  while (paths.length < count) {
    paths.push(statusPath(await connection.ask(httpRequest(SUBMIT, HEADERS, SLEEPING))));
  }
  connection.close();
  return paths.slice(1); // the first may be running already
}

function statusPath(submitted: Answer): string {
  const { request_id: id } = JSON.parse(submitted.body) as { request_id?: string };
  if (id === undefined) throw new Error(`Expected a request_id in the answer to a submit, got: ${submitted.body}`);
  return `/v2/requests/${id}/status`;
}

/** Completions a second with 64 outstanding, each polled every 5 ms. */
export async function completed(bench: Bench): Promise<Figure[]> {
  return [
    await completions(bench, "mock in the server, text", inline, TEXT, 4_500),
    await completions(bench, "mock in a child process, text", childProcess, TEXT, 3_500),
    await completions(bench, "mock in the server, image", inline, IMAGE),
    await completions(bench, "mock in a child process, image", childProcess, IMAGE),
  ];
}

async function completions(bench: Bench, how: string, config: Config, body: string, atLeast?: number): Promise<Figure> {
  await using server = await Server.start(bench.ground, config);
  const reports: Report[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    const plan = { ...timing(bench, server.port), path: SUBMIT, body, outstanding: LANES, pollMs: 5 } as const;
    reports.push(await load({ ...plan, kind: "complete" }));
  }
  const { server: rss, children } = memory(server);
  const p50 = median(reports.map((report) => report.latencyMs?.p50 ?? Number.NaN));
  return {
    what: `completions, ${how}`,
    ...(atLeast === undefined ? {} : { target: { atLeast } }),
    got: median(reports.map(rate)),
    unit: "/s",
    detail:
      `${reports.map((report) => number(rate(report))).join(" ")}; p50 ${number(p50)} ms; ` +
      `RSS ${number(rss)} MB${children > 0 ? ` and ${number(children)} MB in children` : ""}`,
    raw: { reports, rss, children },
  };
}

/** Rows settled from the first submit to the last settle, while 64 clients only submit. */
export async function settled(bench: Bench): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, inline);
  const plan = { ...timing(bench, server.port), warmupSeconds: 0, path: SUBMIT, body: TEXT } as const;
  await load({ ...plan, seconds: 1, kind: "submit", connections: LANES });
  await drained(server);
  const before = await metric(server, COMPLETED.name, COMPLETED.labels);
  const begun = performance.now();
  const submits = await load({ ...plan, seconds: 2 * bench.seconds, kind: "submit", connections: LANES });
  const during = (await metric(server, COMPLETED.name, COMPLETED.labels)) - before;
  const submitSeconds = (performance.now() - begun) / 1000;
  await drained(server);
  const seconds = (performance.now() - begun) / 1000;
  const rows = (await metric(server, COMPLETED.name, COMPLETED.labels)) - before;
  return [
    {
      what: "rows settled with submits only",
      target: { atLeast: 8_000 },
      got: rows / seconds,
      unit: "/s",
      detail:
        `${number(rate(submits))} submits/s and ${number(during / submitSeconds)} settled/s for ${number(submitSeconds)} s, ` +
        `then ${number(seconds - submitSeconds)} s until all ${number(rows)} were settled`,
      raw: { submits, during, submitSeconds, seconds, rows },
    },
  ];
}

const COMPLETED = { name: "inferq_requests_finished_total", labels: 'outcome="COMPLETED"' };

/** Waits until nothing is queued or processing any more. */
async function drained(server: Server): Promise<void> {
  const deadline = performance.now() + 120_000;
  const unfinished = async (): Promise<number> =>
    (await metric(server, "inferq_queue_depth")) + (await metric(server, "inferq_in_flight"));
  while ((await unfinished()) > 0) {
    if (performance.now() > deadline) throw new Error("The queue was not empty two minutes after the last submit.");
    await sleep(20);
  }
}

/** Submit to COMPLETED, one request at a time, polled back to back. */
export async function latency(bench: Bench): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, inline);
  const report = await load({ ...timing(bench, server.port), kind: "latency", path: SUBMIT, body: TEXT });
  const { p50, p99, max } = report.latencyMs!;
  const detail = `p99 ${number(p99)} ms, longest ${number(max)} ms, of ${number(report.counted)}`;
  return [{ what: "submit → COMPLETED, p50", target: { below: 4 }, got: p50, unit: "ms", detail, raw: { report } }];
}

/** Memory of a server that has nothing to do. */
export async function idle(bench: Bench): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, waiting);
  const seconds = bench.quick ? 5 : 30;
  await sleep(seconds * 1000);
  const detail = "with mock-inference in the server, for a config names at least one model";
  const what = `RSS idle, ${seconds} s after start`;
  return [{ what, target: { below: 150 }, got: memory(server).server, unit: "MB", detail, raw: {} }];
}

/** What a million waiting requests cost: the rates against an empty store, and the start. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Figure, median, number } from "./figures.ts";
import { type Bench, LANES, SLEEPING, SUBMIT, against, queued, timing, waiting } from "./measure.ts";
import { Server, load } from "./processes.ts";
import { memory } from "./server-facts.ts";

/** Enough for the leases of one measurement: as near to empty as a store to lease from can be. */
const FEW = 40_000;
/** Of one window; with those for the compiler, and four windows, no more than FEW. */
const LEASES = 7_500;

export async function million(bench: Bench): Promise<Figure[]> {
  const count = bench.quick ? 100_000 : 1_000_000;
  const [full, few] = [bench.ground.directory(), bench.ground.directory()];
  const begun = performance.now();
  const first = (await script("fill.ts", full, `${count}`, SLEEPING)).trim();
  const fillRate = (count / (performance.now() - begun)) * 1000;
  await script("fill.ts", few, `${FEW}`, SLEEPING);

  const starts = await restarts(bench, full, `/v2/requests/${first}/status`);
  const rates = await ratesOver(bench, full, count);
  const leases = { few: [await leaseRate(few)], full: [] as number[] };
  for (let round = 0; round < bench.rounds; round++) {
    leases.full.push(await leaseRate(full));
    leases.few.push(await leaseRate(few));
  }
  const leaseRatios = leases.full.map((rate, i) => (2 * rate) / (leases.few[i]! + leases.few[i + 1]!));
  return [
    ...rates,
    {
      what: `lease and settle with ${number(count)} waiting, against ${number(FEW)}`,
      target: { atLeast: 0.8 },
      got: median(leaseRatios),
      unit: "",
      detail:
        `${number(median(leases.full))}/s, few ${number(median(leases.few))}/s, ` +
        `ratios ${leaseRatios.map(number).join(" ")}; the store alone, no HTTP`,
      raw: leases,
    },
    {
      what: `restart with ${number(count)} waiting, until the first answer`,
      target: { below: 2 },
      got: median(starts) / 1000,
      unit: "s",
      detail: `${starts.map((ms) => number(ms / 1000)).join(" ")} s; filled at ${number(fillRate)}/s`,
      raw: { starts, fillRate },
    },
  ];
}

async function restarts(bench: Bench, dataDir: string, firstPath: string): Promise<number[]> {
  const starts: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    await using server = await Server.start(bench.ground, waiting, dataDir, firstPath);
    starts.push(server.startMs);
  }
  return starts;
}

/** Polls and submits with many waiting against an empty store, which is made anew for each window. */
async function ratesOver(bench: Bench, dataDir: string, count: number): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, waiting, dataDir);
  const paths = await queued(server, 1_000);
  const poll = (port: number, polled: readonly string[]) =>
    load({ ...timing(bench, port), kind: "poll", connections: LANES, paths: polled });
  const submit = (port: number) =>
    load({ ...timing(bench, port), kind: "submit", connections: LANES, path: SUBMIT, body: SLEEPING });
  const polls = await against(
    "empty",
    bench.rounds,
    () => poll(server.port, paths),
    async () => {
      await using empty = await Server.start(bench.ground, waiting);
      return await poll(empty.port, await queued(empty, 1_000));
    },
  );
  const submits = await against(
    "empty",
    bench.rounds,
    () => submit(server.port),
    async () => {
      await using empty = await Server.start(bench.ground, waiting);
      return await submit(empty.port);
    },
  );
  const rss = memory(server).server;
  return [
    { what: `status polls with ${number(count)} waiting, against an empty store`, target: { atLeast: 0.8 }, ...polls },
    { what: `submits with ${number(count)} waiting, against an empty store`, target: { atLeast: 0.8 }, ...submits },
    { what: `RSS with ${number(count)} waiting and those submits`, got: rss, unit: "MB", detail: "", raw: {} },
  ];
}

async function leaseRate(dataDir: string): Promise<number> {
  return Number(await script("lease.ts", dataDir, `${LEASES}`));
}

/** What a script of this directory prints, run in a process of its own. */
async function script(name: string, ...args: string[]): Promise<string> {
  const path = join(import.meta.dirname, name);
  const options = { timeout: 300_000, killSignal: "SIGKILL" } as const;
  return (await promisify(execFile)(process.execPath, ["--conditions=@inferq/source", path, ...args], options)).stdout;
}

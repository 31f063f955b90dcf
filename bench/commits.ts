/**
 * This checkout against that of another commit, in one run: what a change costs the paths that must be fast.
 * The present server has a key with limits, which the other one may know nothing of.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Config } from "inferq";
import type { Figure } from "./figures.ts";
import { type Bench, LANES, SLEEPING, SUBMIT, TEXT, against, inline, queued, timing, waiting } from "./measure.ts";
import { Server, load } from "./processes.ts";

/** Limits that are looked at and never reached. */
const LIMITED = { ...waiting, keyRequestsPerSecond: 1e9, keyRequestsInFlight: 1e9 } satisfies Config;

export async function comparedToAnother(bench: Bench): Promise<Figure[]> {
  const other = checkoutOf(bench.against);
  await using server = await Server.start(bench.ground, LIMITED);
  await using before = await Server.start(bench.ground, waiting, bench.ground.directory(other), "/readyz", other);
  const paths = new Map([
    [server, await queued(server, 1_000)],
    [before, await queued(before, 1_000)],
  ]);
  const [rounds, seconds] = [bench.quick ? 1 : 3 * bench.rounds, bench.seconds / 2];
  const at = (one: Server) => ({ ...timing(bench, one.port), seconds, connections: LANES });
  const poll = (one: Server) => load({ ...at(one), kind: "poll", paths: paths.get(one)! });
  const submit = (one: Server) => load({ ...at(one), kind: "submit", path: SUBMIT, body: SLEEPING });
  const compare = async (what: string, atLeast: number, measure: typeof poll): Promise<Figure> => ({
    what: `${what}, against ${other}`,
    target: { atLeast },
    ...(await against(
      "the other",
      rounds,
      () => measure(server),
      () => measure(before),
    )),
  });
  return [
    await compare("status polls with keys, limits and ownership checked", 0.9, poll),
    await compare("durable submits at 64 in flight", 0.9, submit),
    await completions(bench, other, rounds),
  ];
}

/** The main job: from a submit to its outcome read, on servers whose model is free. */
async function completions(bench: Bench, other: string, rounds: number): Promise<Figure> {
  await using server = await Server.start(bench.ground, inline);
  await using before = await Server.start(bench.ground, inline, bench.ground.directory(other), "/readyz", other);
  const complete = (one: Server) =>
    load({ ...timing(bench, one.port), kind: "complete", path: SUBMIT, body: TEXT, outstanding: LANES, pollMs: 5 });
  return {
    what: `completions at 64 in flight, against ${other}`,
    target: { atLeast: 0.95 },
    ...(await against(
      "the other",
      rounds,
      () => complete(server),
      () => complete(before),
    )),
  };
}

function checkoutOf(path: string | undefined): string {
  if (path === undefined) throw new Error("commits needs --against, a checkout of another commit after npm ci.");
  const checkout = resolve(path);
  if (existsSync(join(checkout, "packages/server/src/cli.ts"))) return checkout;
  throw new Error(`--against takes a checkout of inferq, got ${checkout}.`);
}

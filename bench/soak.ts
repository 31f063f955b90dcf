/** Ten minutes at half the greatest rate with a lifetime of 60 s: nothing may slow down or grow. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Figure, number } from "./figures.ts";
import { type Bench, LANES, SUBMIT, TEXT, inline, rate, timing } from "./measure.ts";
import { Server, load } from "./processes.ts";
import { fileBytes, memory } from "./server-facts.ts";

const LIFETIME_SECONDS = 60;
const MB = 1024 * 1024;

interface Sample {
  readonly second: number;
  readonly rssMb: number;
  readonly fileMb: number;
  readonly walMb: number;
}

export async function soak(bench: Bench): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, { ...inline, resultTtlSeconds: LIFETIME_SECONDS });
  const plan = {
    ...timing(bench, server.port),
    kind: "complete",
    path: SUBMIT,
    body: TEXT,
    outstanding: LANES,
    pollMs: 5,
  } as const;
  const greatest = rate(await load(plan));
  const seconds = bench.quick ? 180 : 600;
  const stop = new AbortController();
  const sampling = samples(server, stop.signal);
  const report = await load({ ...plan, seconds, ratePerSecond: greatest / 2 });
  stop.abort();
  const taken = await sampling;

  const minute = (from: number): number => report.perSecond.slice(from, from + 60).reduce((sum, n) => sum + n, 0) / 60;
  const [first, last] = [minute(0), minute(seconds - 60)];
  // Rows of the first minute expire in the second; from the third on, all should be in balance.
  const settledIn = taken.filter((sample) => sample.second >= 2 * LIFETIME_SECONDS);
  const [early, late] = [settledIn.slice(0, settledIn.length / 4), settledIn.slice(-settledIn.length / 4)];
  const growth = (field: keyof Sample): number => mean(late, field) / mean(early, field);
  return [
    {
      what: `lifetime 60 s, ${seconds / 60} min at half rate: last minute against the first`,
      target: { atLeast: 0.9 },
      got: last / first,
      unit: "",
      detail: `${number(first)}/s, then ${number(last)}/s, half of ${number(greatest)}/s`,
      raw: { greatest, report, samples: taken },
    },
    ...(["rssMb", "fileMb", "walMb"] as const).map((field) => ({
      what: `the same: ${field.slice(0, -2)}, late against early`,
      target: { below: 1.1 },
      got: growth(field),
      unit: "",
      detail: `${number(mean(early, field))} MB after 2 min, ${number(mean(late, field))} MB at the end`,
      raw: {},
    })),
  ];
}

async function samples(server: Server, signal: AbortSignal): Promise<Sample[]> {
  const begun = performance.now();
  const taken: Sample[] = [];
  while (!signal.aborted) {
    taken.push({
      second: (performance.now() - begun) / 1000,
      rssMb: memory(server).server,
      fileMb: fileBytes(server, ".db") / MB,
      walMb: fileBytes(server, "-wal") / MB,
    });
    await sleep(5_000, undefined, { signal }).catch(() => {});
  }
  return taken;
}

function mean(samples: readonly Sample[], field: keyof Sample): number {
  return samples.reduce((sum, sample) => sum + sample[field], 0) / samples.length;
}

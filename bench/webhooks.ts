/** Webhooks at a steady rate: how soon after its outcome each arrives, alone and beside receivers that hang and refuse. */
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, httpRequest } from "./connection.ts";
import { type Figure, number } from "./figures.ts";
import { type Bench, LANES, SUBMIT, TEXT, inline } from "./measure.ts";
import { HEADERS, Server, message } from "./processes.ts";
import type { ReceiverPorts, Taken } from "./receivers.ts";
import { cpuSeconds, memory, metric } from "./server-facts.ts";

const RATE = 1_000;
/** Beside those, to each of the receivers that are not well. */
const ILL_RATE = 50;
const ANSWER_MS = 10_000;

interface Flow {
  readonly port: number;
  readonly perSecond: number;
}

interface Measured extends Taken {
  /** Sent to the one that is well, a second. */
  readonly submitted: number;
  /** Arrived there, a second. */
  readonly arrived: number;
  readonly cpu: number;
  readonly rssMb: number;
  readonly pending: number;
}

export async function webhooks(bench: Bench): Promise<Figure[]> {
  await using server = await Server.start(bench.ground, { ...inline, allowPrivate: ["webhook"] });
  const child = fork(join(import.meta.dirname, "receivers.ts"));
  bench.ground.watch(child);
  const { well, dead, refusing } = await message<ReceiverPorts>(child, ANSWER_MS);
  const seconds = bench.quick ? 3 : 10 * bench.seconds;

  const alone = await measured(server, child, [{ port: well, perSecond: RATE }], seconds);
  const ill = [dead, refusing].map((port) => ({ port, perSecond: ILL_RATE }));
  const beside = await measured(server, child, [{ port: well, perSecond: RATE }, ...ill], seconds);
  child.disconnect();
  return [
    ...figures("alone", alone, {}),
    ...figures("beside a dead and a refusing receiver", beside, { beside: true }),
  ];
}

function figures(how: string, got: Measured, { beside = false }: { readonly beside?: boolean }): Figure[] {
  const { lagsMs, ...raw } = got;
  const sorted = lagsMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)]!;
  const p99 = `p50 ${number(at(0.5))} ms, longest ${number(at(1))} ms, of ${number(sorted.length)}`;
  const illness = beside ? `; ${number(got.hanging)} connections hang, ${number(got.refused)} tries were refused` : "";
  return [
    {
      what: `webhooks ${how}: from the outcome to the receiver, p99`,
      target: { below: 50 },
      got: at(0.99),
      unit: "ms",
      detail: p99 + illness,
      raw,
    },
    {
      what: `webhooks ${how}: arrived`,
      target: { atLeast: 0.99 * RATE },
      got: got.arrived,
      unit: "/s",
      detail:
        `${number(got.submitted)} submits/s, ${number(got.pending)} pending at the end, ${number(got.repeated)} twice; ` +
        `server ${number(got.cpu * 100)} % of a core, ${number(got.rssMb)} MB`,
      raw: {},
    },
  ];
}

async function measured(
  server: Server,
  child: ChildProcess,
  flows: readonly Flow[],
  seconds: number,
): Promise<Measured> {
  await submitted(server, flows, 2);
  await take(child);
  const cpu = cpuSeconds(server);
  const begun = performance.now();
  const submits = await submitted(server, flows, seconds);
  const taken = await take(child);
  const took = (performance.now() - begun) / 1000;
  return {
    ...taken,
    submitted: submits / took,
    arrived: taken.lagsMs.length / took,
    cpu: (cpuSeconds(server) - cpu) / took,
    rssMb: memory(server).server,
    pending: await metric(server, "inferq_webhooks_pending"),
  };
}

async function take(child: ChildProcess): Promise<Taken> {
  const taken = message<Taken>(child, ANSWER_MS);
  child.send("take");
  return await taken;
}

/** Submits in time with a clock, whatever becomes of those before; answers how many of the first flow were accepted. */
async function submitted(server: Server, flows: readonly Flow[], seconds: number): Promise<number> {
  const counts = await Promise.all(flows.map((flow) => flowing(server, flow, seconds)));
  return counts[0]!;
}

async function flowing(server: Server, { port, perSecond }: Flow, seconds: number): Promise<number> {
  const url = encodeURIComponent(`http://127.0.0.1:${port}/hook`);
  const request = httpRequest(`${SUBMIT}?webhook=${url}`, HEADERS, TEXT);
  const begun = performance.now();
  const all = perSecond * seconds;
  let sent = 0;
  const lane = async (): Promise<void> => {
    const connection = await Connection.open(server.port);
    while (sent < all) {
      const early = begun + (sent / perSecond) * 1000 - performance.now();
      sent += 1;
      if (early > 0) await sleep(early);
      const { status, body } = await connection.ask(request);
      if (status !== 200) throw new Error(`Expected 200, got ${status}: ${body}`);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return sent;
}

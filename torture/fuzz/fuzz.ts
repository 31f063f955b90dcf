/** The run: the corpus, connections that are none, chance; then what is left when all is over. */
import { setTimeout as wait } from "node:timers/promises";
import { breakOff, comeSlowly, sendLarge } from "./abuse.ts";
import { comeToRest, growthOf, lookAround } from "./aftermath.ts";
import type { Case } from "./case.ts";
import { corpusCases } from "./corpus-cases.ts";
import { caseFor } from "./generate.ts";
import { startCanary, startNameServer } from "./name-server.ts";
import { operationsOf } from "./operations.ts";
import { FuzzedServer } from "./server.ts";
import { Session } from "./session.ts";
import { Volume } from "./volume.ts";
import { Watch } from "./watch.ts";

export interface FuzzOptions {
  /** By chance, beside the corpus. */
  readonly requests: number;
  readonly seed: number;
  /** As `npm test` runs it. */
  readonly isShort: boolean;
}

/** Of each operation at least so many, whatever chance says. */
const EACH = 20;
/** Memory is read after each of so many parts. */
const PARTS = 12;
/** Between a part and the reading: what was sent is run meanwhile. */
const REST_MS = 2_000;

/** Runs it all; what was wrong is in the session's faults. */
export async function fuzz({ requests, seed, isShort }: FuzzOptions): Promise<Session> {
  console.log(`  seed ${seed}`);
  const startedAt = performance.now();
  await using names = await startNameServer();
  await using canary = await startCanary();
  const env = { FUZZ_NAME_SERVER: names.address };
  await using server = await FuzzedServer.start("fuzz.config.ts", { preload: "preload.ts", env });
  const operations = await operationsOf(server.port);
  const session = new Session(server, operations, seed, canary.port);
  const watch = new Watch(session);
  const tell = teller(session);
  // The pool of threads, the first runners: what is opened once and stays.
  const each = Array.from({ length: EACH }, () => operations).flat();
  await session.send(several(each.length, () => caseFor(session.context, each.pop()!)));
  await comeToRest(session, undefined);
  const descriptors = server.descriptors;

  const corpus = corpusCases(session.context, isShort ? 0.1 : 1);
  await session.send(() => corpus.next().value as Case | undefined);
  tell("the corpus");
  await breakOff(session, isShort ? 5 : 1);
  tell("broken off at each byte");
  await comeSlowly(session, isShort ? 500 : 2_000);
  tell("slow connections");
  watch.isLarge = true;
  await sendLarge(session, isShort ? 4 * 1024 * 1024 : undefined);
  watch.isLarge = false;
  tell("large bodies");
  const volume = new Volume(session.context);
  const resident: number[] = [];
  const held: number[] = [];
  for (let part = 0; part < (isShort ? 1 : PARTS) && !session.isHopeless; part += 1) {
    await session.send(several(Math.ceil(requests / (isShort ? 1 : PARTS)), () => volume.next()));
    if (!isShort) await wait(REST_MS);
    resident.push(server.residentMb ?? 0);
    if (!isShort) held.push(await server.collectedMb());
    tell(`by chance, ${resident.length} of ${isShort ? 1 : PARTS}`);
  }
  watch.stop();
  await comeToRest(session, descriptors);
  if (!isShort) console.log(`  left after each part when all was collected: ${held.join(", ")} MB`);
  for (const growth of isShort ? [] : [growthOf("resident", resident), growthOf("collected", held)]) {
    if (growth !== undefined) session.fault("memory", growth);
  }
  if (canary.taken() > 0) session.fault("guard", `${canary.taken()} connections to where nobody may go`);
  const code = await server.stop();
  if (code !== 0) session.fault("server", `it ended with ${code}:\n${server.log.tail()}`);
  for (const line of server.log.faults) session.fault("log", line);
  lookAround(session);
  summarise(session, watch, (performance.now() - startedAt) / 1000);
  const unsent = operations.filter(({ name }) => !session.operations.has(name)).map(({ name }) => name);
  if (unsent.length > 0) session.fault("coverage", `nothing was sent to ${unsent.join(", ")}`);
  return session;
}

/** Says how far it is, how fast, and what a request of the last part cost each side, of its processor's time. */
function teller(session: Session): (what: string) => void {
  const costs = (): readonly number[] => {
    const { user, system } = process.cpuUsage();
    const { loopCpuMs = 0, cpuMs = 0 } = session.server;
    return [session.sent, performance.now(), loopCpuMs, cpuMs, (user + system) / 1000];
  };
  let before = costs();
  return (what) => {
    const now = costs();
    const [sent, ms, loop, all, own] = now.map((value, index) => value - before[index]!) as [number, number, number, number, number]; // prettier-ignore
    before = now;
    const each = [loop, all, own].map((value) => (value / sent).toFixed(2));
    console.log(
      `  ${what}: ${session.sent} requests, now ${Math.round((sent * 1000) / ms)}/s; of a processor each took the event loop ` +
        `${each[0]}, the server ${each[1]} and the fuzzer ${each[2]} ms; ${session.server.residentMb ?? "?"} MB`,
    );
  };
}

function summarise(session: Session, watch: Watch, seconds: number): void {
  console.log(
    `  ${session.sent} requests in ${seconds.toFixed(1)} s; at most ${watch.longestMs} ms of the event loop at once`,
  );
  for (const [title, counts] of [["sent", session.kinds] as const, ["answered", session.answers] as const]) {
    console.log(`  ${title}`);
    for (const [name, count] of [...counts].sort((a, b) => b[1] - a[1]))
      console.log(`    ${String(count).padStart(8)} ${name}`);
  }
}

function several<T>(count: number, make: () => T): () => T | undefined {
  let left = count;
  return () => (left-- > 0 ? make() : undefined);
}

/** The run: the corpus, connections that are none, chance; then what is left when all is over. */
import { setTimeout as wait } from "node:timers/promises";
import { breakOff, comeSlowly, sendLarge } from "./abuse.ts";
import { comeToRest, growthOf, lookAround } from "./aftermath.ts";
import type { Case } from "./case.ts";
import { corpusCases } from "./corpus-cases.ts";
import { caseFor, nextCase } from "./generate.ts";
import { startCanary, startNameServer } from "./name-server.ts";
import { operationsOf } from "./operations.ts";
import { FuzzedServer } from "./server.ts";
import { Session } from "./session.ts";
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
  const tell = (what: string): void => {
    const rate = Math.round(session.sent / ((performance.now() - startedAt) / 1000));
    console.log(`  ${what}: ${session.sent} requests, ${rate}/s, ${server.residentMb ?? "?"} MB`);
  };
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
  await sendLarge(session, isShort ? 4 * 1024 * 1024 : undefined);
  tell("large bodies");
  const resident: number[] = [];
  for (let part = 0; part < (isShort ? 1 : PARTS) && !session.isHopeless; part += 1) {
    await session.send(several(Math.ceil(requests / (isShort ? 1 : PARTS)), () => nextCase(session.context)));
    if (!isShort) await wait(REST_MS);
    resident.push(server.residentMb ?? 0);
    tell(`by chance, ${resident.length} of ${isShort ? 1 : PARTS}`);
  }
  watch.stop();
  await comeToRest(session, descriptors);
  const growth = isShort ? undefined : growthOf(resident);
  if (growth !== undefined) session.fault("memory", growth);
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

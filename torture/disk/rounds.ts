/** Runs inside a mount namespace of its own (see run.ts): a server on a small disk, rounds of trouble with it, and a checker. */
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { namedBy, readFileKeys, readRows, sweepLater } from "../crashes/at-rest.ts";
import { Receiver } from "../crashes/receiver.ts";
import { Ledger } from "../lib/ledger.ts";
import { startServer, type ServerProcess } from "../lib/server.ts";
import { shim, ShimmedDisk, type Trouble, whyNoShim } from "../power/shim.ts";
import { Random } from "../simulation/random.ts";
import { type Facts, look, reader, remove, submitter, type World } from "./load.ts";
import { SmallDisk } from "./small-disk.ts";
import { RUNS } from "./work.ts";

const CONFIG = fileURLToPath(new URL("./server.config.ts", import.meta.url));
const DISK_MB = 64;
/** Issue 5: service returns within this time of space, ms. */
const BACK_WITHIN_MS = 5_000;
/** Longer than a lease (server.config.ts) and all that a heartbeat is waited for, ms. */
const TROUBLE_MS = 8_000;
/** How long the load runs well before and between rounds, ms. */
const WELL_MS = 1_500;
/** What is left when the load ends has so long, ms. */
const PEACE_MS = 30_000;

export interface Plan {
  readonly seed: number;
  readonly clients: number;
  /** Rounds with a full disk, and how long each keeps it so, ms. */
  readonly fullRounds: number;
  readonly troubleMs: number;
  /** Bytes that are to stay free, below which submits are refused before the disk is full. */
  readonly reserve: number;
  /** Also what a file system that works cannot be made to do: read-only, broken, slow. */
  readonly broken: boolean;
  /** At last also a stop, and a start, on the full disk. */
  readonly stopsFull: boolean;
}

export const LONG: Omit<Plan, "seed" | "reserve"> = {
  clients: 12,
  fullRounds: 4,
  troubleMs: TROUBLE_MS,
  broken: true,
  stopsFull: true,
};
export const SHORT: Plan = {
  seed: 5,
  clients: 6,
  fullRounds: 1,
  troubleMs: 3_500,
  reserve: 0,
  broken: false,
  stopsFull: false,
};

/** What a disk can have besides being full. An fsync that failed costs its run, which is made again; nothing else does. */
const BROKEN: readonly (readonly [name: string, trouble: Trouble])[] = [
  ["read-only", { write: "EROFS", name: "EROFS" }],
  ["a quota is used up", { write: "EDQUOT" }],
  ["fsyncs of 20 to 200 ms", { syncMs: [20, 200] }],
  ["writes fail (EIO)", { write: "EIO" }],
  ["fsyncs fail (EIO)", { sync: "EIO" }],
];

/** One run, told on stdout. True: every promise was kept. */
export async function torture(plan: Plan): Promise<boolean> {
  const home = mkdtempSync(join(tmpdir(), "inferq-disk-"));
  using disk = new SmallDisk(join(home, "disk"), DISK_MB);
  const runs = join(home, "runs");
  appendFileSync(runs, "");
  const log = join(home, "server.log");
  appendFileSync(log, "");
  const noShim = plan.broken ? await whyNoShim() : "it is not asked for";
  using shimmed =
    noShim === undefined ? new ShimmedDisk(await shim(), disk.directory, join(home, "shim"), { log: false }) : null;
  const env = { [RUNS]: runs, TORTURE_RESERVE: String(plan.reserve), ...shimmed?.env };
  const start = (): ServerProcess => startServer({ directory: disk.directory, config: CONFIG, log, env });

  const random = new Random(plan.seed);
  const ledger = new Ledger<Facts>();
  const receiver = new Receiver(null);
  await receiver.start();
  receiver.onTold = ({ id, outcome }, at) => {
    const entry = ledger.get(id);
    if (entry !== undefined) ledger.outcome(entry, outcome, "webhook", at);
  };
  let server = start();
  void server.exited.then((how) => world.over || ledger.problem(`the server ended: ${how}`));
  const base = await server.listening;
  if (base === null) throw new Error(`The server did not start:\n${readFileSync(log, "utf8")}`);
  const world: World = {
    base,
    ledger,
    random,
    webhook: receiver.url,
    done: [],
    answers: new Map(),
    acceptedAt: 0,
    finishedAt: 0,
    over: false,
  };
  const load = Promise.all([
    ...Array.from({ length: plan.clients }, (_, number) => submitter(world, number)),
    reader(world),
  ]);
  try {
    await until(() => ledger.size > 20 && world.finishedAt > 0);
    for (let round = 0; round < plan.fullRounds; round++) {
      await wait(WELL_MS);
      disk.fill();
      await wait(plan.troubleMs);
      await backAfter(world, "a full disk", () => disk.free());
    }
    for (const [name, trouble] of shimmed === null ? [] : BROKEN) {
      await wait(WELL_MS);
      shimmed!.trouble = trouble;
      await wait(plan.troubleMs);
      await backAfter(world, name, () => (shimmed!.trouble = {}));
    }
    if (plan.broken && noShim !== undefined)
      console.log(`  left out, for ${noShim}: ${BROKEN.map(([name]) => name).join(", ")}`);
    /** What ran when the server stopped on a full disk: that it was given back could not be written. */
    let ran: ReadonlySet<string> = new Set();
    if (plan.stopsFull) {
      await wait(WELL_MS);
      disk.fill();
      await wait(1_000);
      world.over = true;
      await load;
      ran = new Set([...ledger.open()].map(({ id }) => id));
      await stopAndStartWhileFull(server, start, ledger, log);
      disk.free();
      server = start();
      Object.assign(world, { base: await server.listening });
    }
    world.over = true;
    await load;
    world.over = false;
    for (const end = Date.now() + PEACE_MS; ledger.unfinished > 0 && Date.now() < end; await wait(50)) {
      for (const entry of ledger.open()) await look(world, entry);
    }
    for (const entry of ledger.entries()) {
      if (entry.deletion?.answeredAt === Infinity) await remove(world, entry);
      else await look(world, entry);
    }
    for (const { id } of ledger.open()) ledger.problem("it has no outcome, though the disk is well", id);
    await until(
      () => [...ledger.entries()].every(({ id, facts }) => !facts.webhook || receiver.told.has(id)),
      PEACE_MS,
    );
    world.over = true;
    server.signal("SIGTERM");
    await server.exited;
    await sweepLater(disk.directory);
    checkAtRest(ledger, disk.directory, runs, ran, plan.broken);
    for (const { id, facts } of ledger.entries())
      if (facts.webhook && !receiver.told.has(id)) ledger.problem("its webhook never came", id);
  } finally {
    world.over = true;
    if (server.lives) server.signal("SIGKILL");
    await server.exited;
    await receiver.stop();
  }
  for (const [what, count] of [...world.answers].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`  ${String(count).padStart(7)} ${what}`);
  console.log(`  ${ledger.size} submits were accepted`);
  for (const { what, id } of ledger.problems.slice(0, 20)) {
    console.log(`  BROKEN ${id ?? ""} ${what}`);
    if (id !== undefined) for (const line of ledger.history(id)) console.log(`      ${line}`);
  }
  if (ledger.problems.length === 0) rmSync(join(home, "server.log"));
  else console.log(`  the server's log: ${log}`);
  return ledger.problems.length === 0;
}

/** Ends the trouble, and measures how long it takes until a submit is accepted and a request is finished. */
async function backAfter(world: World, name: string, end: () => void): Promise<void> {
  end();
  const since = Date.now();
  await until(() => world.acceptedAt > since && world.finishedAt > since, 4 * BACK_WITHIN_MS);
  const [accepted, finished] = [world.acceptedAt, world.finishedAt].map((at) => (at > since ? at - since : Infinity));
  console.log(`  ${name}: a submit is accepted after ${accepted} ms, a request is finished after ${finished} ms`);
  if (Math.max(accepted!, finished!) > BACK_WITHIN_MS)
    world.ledger.problem(`after ${name} it took longer than ${BACK_WITHIN_MS} ms to be back`);
}

async function until(isSo: () => boolean, limitMs = PEACE_MS): Promise<void> {
  for (const end = Date.now() + limitMs; !isSo() && Date.now() < end; await wait(10));
}

/** On a full disk a server stops in good order, and none starts: it says why in one sentence. */
async function stopAndStartWhileFull(
  server: ServerProcess,
  start: () => ServerProcess,
  ledger: Ledger<Facts>,
  log: string,
): Promise<void> {
  server.signal("SIGTERM");
  const ended = await server.exited;
  if (ended !== 0) ledger.problem(`on a full disk the server's stop ended with ${ended}`);
  const before = readFileSync(log, "utf8").length;
  const refused = start();
  const base = await refused.listening;
  if (base !== null) {
    // Whatever was deleted at the stop may have made room enough.
    refused.signal("SIGTERM");
    await refused.exited;
    return;
  }
  const code = await refused.exited;
  const said = readFileSync(log, "utf8").slice(before).trim();
  console.log(`  a start on a full disk ends with ${code} and says: ${said}`);
  if (code !== 1 || said.split("\n").length !== 1) ledger.problem(`a start on a full disk said: ${said}`);
}

/** One outcome each, no attempt that was spent on the disk's trouble, and the files that the rows name. */
function checkAtRest(
  ledger: Ledger<Facts>,
  directory: string,
  runsPath: string,
  ran: ReadonlySet<string>,
  fsyncsFailed: boolean,
): void {
  const { rows, faults } = readRows(directory);
  const files = readFileKeys(directory);
  for (const fault of [...faults, ...files.faults]) ledger.problem(`at rest: ${fault}`);
  const runsOf = new Map<string, number>();
  for (const nonce of readFileSync(runsPath, "utf8").trim().split("\n"))
    runsOf.set(nonce, (runsOf.get(nonce) ?? 0) + 1);
  const named = new Set<string>();
  for (const row of rows) {
    for (const key of namedBy(row)) {
      named.add(key);
      if (!files.keys.has(key)) ledger.problem(`its row names the file ${key}, which is not there`, row.id);
    }
    const entry = ledger.get(row.id);
    if (entry === undefined) {
      ledger.problem("a request that nobody was told was accepted", row.id);
      continue;
    }
    const { nonce, kind, cancelled } = entry.facts;
    const free = ran.has(row.id) ? 1 : 0;
    if (row.crashes > free || row.attempts > 1 + free)
      ledger.problem(`${row.attempts} attempts, ${row.crashes} crashes`, row.id);
    const runs = runsOf.get(nonce) ?? 0;
    // A model that finds no room must be run again; a stop gives back what runs.
    const stopped = row.past.length;
    if (!cancelled && kind !== "file" && !fsyncsFailed && runs > 1 + stopped)
      ledger.problem(`it ran ${runs} times`, row.id);
  }
  for (const key of files.keys) if (!named.has(key)) ledger.problem(`no row names the file ${key}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kept = await torture(JSON.parse(process.argv[2]!) as Plan);
  if (process.stdout.writableLength > 0) await once(process.stdout, "drain");
  process.exit(kept ? 0 : 1);
}

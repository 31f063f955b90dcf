/** The end of a schedule: trouble is over, everything runs until nothing is left to do; then everything is looked at. */
import type { Request } from "../../../packages/server/src/core/request.ts";
import { machine } from "../machine.ts";
import { DatabaseSync } from "../platform/sqlite.ts";
import type { Ledger } from "./ledger.ts";
import type { Nemesis } from "./nemesis.ts";
import { DATA, FILES, type SimulatedServer } from "./server.ts";
import type { Settings } from "./settings.ts";

/** Within this all requests have an outcome: the longest pauses and leases, one after the other, and their runs, ms. */
const WORK_MS = 600_000;
/** A store that failed is open again after this, ms. */
const REOPEN_MS = 6_000;
/** Files that nobody's row names are deleted after ten minutes (`Sweeper`). */
const UNTIL_TIDY_MS = 11 * 60_000;
/** A webhook is tried again after two hours at most, and no life is longer than one. */
const UNTIL_GONE_MS = 3 * 3_600_000;
const SWEEP_MS = 4_000;

interface Rest {
  readonly nemesis: Nemesis;
  readonly ledger: Ledger;
  readonly settings: Settings;
}

export async function comeToRest(rest: Rest): Promise<void> {
  const { ledger } = rest;
  const stages: (() => void | Promise<void>)[] = [
    () => finishWork(rest),
    () => checkRows(rest),
    () => leap(rest, UNTIL_TIDY_MS),
    () => checkFiles(rest),
    () => leap(rest, UNTIL_GONE_MS),
    () => checkWebhooks(rest),
    () => checkGone(rest),
  ];
  for (const stage of stages) {
    await stage();
    if (ledger.broken !== null) return;
  }
}

/** All that waits or runs gets its outcome. */
async function finishWork({ nemesis, ledger }: Rest): Promise<void> {
  const earliest = machine().time + REOPEN_MS;
  const until = machine().time + WORK_MS;
  const load = (): number | undefined => {
    const { store } = nemesis.server ?? {};
    const counting = store?.load.counting;
    counting?.catch(() => {}); // it is counted again
    return store === undefined || counting !== undefined
      ? undefined
      : store.load.waiting +
          store.load.unfinishedOf("ada") +
          store.load.unfinishedOf("bob") +
          store.load.unfinishedOf("ada-2");
  };
  await goOn(nemesis, ledger, () => (load() === 0 && machine().time > earliest) || machine().time > until);
  if (load() !== 0) ledger.fail(`nothing stuck: ten minutes after the last trouble ${load()} requests have no outcome`);
}

/** The server is stopped, time passes, it is started again, and gets done what has become due. */
async function leap({ nemesis, ledger }: Rest, ms: number): Promise<void> {
  nemesis.stop();
  await goOn(nemesis, ledger, () => nemesis.isDown);
  machine().time += ms;
  await goOn(nemesis, ledger, () => nemesis.server !== null);
  const { server } = nemesis;
  if (server === null) return;
  const until = machine().time + SWEEP_MS;
  await goOn(nemesis, ledger, () => machine().time > until);
}

async function goOn(nemesis: Nemesis, ledger: Ledger, isOver: () => boolean): Promise<void> {
  await machine().run(() => {
    nemesis.betweenSteps();
    return ledger.broken !== null || isOver();
  });
}

/** Every request that was accepted has its outcome, or is gone as it was to be. */
async function checkRows({ nemesis, ledger }: Rest): Promise<void> {
  const { store, clock } = nemesis.server!;
  for (const told of ledger.told.values()) {
    const found = await store.get(told.id);
    const now = clock.now();
    if (found === undefined) {
      ledger.missing(told.id, now, "its row, at rest");
      continue;
    }
    if (told.keepMs === null && now >= told.expiresAt) ledger.fail(`expiry: ${told.id} is there behind its time`);
    const { status, failure, crashes, attempts } = found;
    if (status !== "COMPLETED" && status !== "FAILED") {
      ledger.fail(`nothing stuck: ${told.id} is ${status} at rest`);
      continue;
    }
    ledger.saw(told.id, { status, code: failure?.code ?? null, error: failure?.message ?? null }, "its row, at rest");
    const past = await store.pastAttempts(told.id);
    const spent = past.filter((each) => each.failure !== null).length + (endedByRun(found) ? 1 : 0);
    if (attempts !== spent) ledger.fail(`attempts: ${told.id} has spent ${attempts}, and its runs say ${spent}`);
    if (crashes > 3 || attempts > 5) ledger.fail(`attempts: ${told.id} had ${attempts}, and ${crashes} crashes`);
  }
}

/** Whether its last attempt ended with the outcome, and is not among those past. */
function endedByRun({ status, failure }: Request): boolean {
  return status === "COMPLETED" || !["cancelled", "start_timeout"].includes(failure!.code);
}

/** The files are those that the rows name, and what the rows name is there whole. */
function checkFiles({ nemesis, ledger }: Rest): void {
  const named = new Set<string>();
  query((db) => {
    const rows = db
      .prepare(
        `SELECT inputs.key, inputs.json, results.json AS result FROM requests JOIN inputs ON inputs.number = requests.input
          LEFT JOIN results ON results.number = requests.result`,
      )
      .all() as unknown as { key: string | null; json: string | null; result: string | null }[];
    for (const { key, json, result } of rows) {
      if (key !== null) named.add(key);
      for (const [, found] of `${json} ${result}`.matchAll(/"key":"([^"]+)"/g)) named.add(found!);
    }
  });
  for (const [path, bytes] of machine().disk.tree(FILES)) {
    if (bytes === null) continue;
    const key = path.slice(FILES.length + 1);
    if (!named.delete(key)) ledger.fail(`files: at rest there is ${path}, and no row names it`);
    else if (!Buffer.from(bytes).includes(key.slice(0, 36)) && !Buffer.from(bytes).includes("picture")) {
      ledger.fail(`files: ${path} is not what was stored: ${bytes.length} bytes`);
    }
  }
  for (const key of named) {
    // A delete takes the files first: cut short, it leaves a row that says what is to be done again.
    if (ledger.told.get(key.slice(0, key.indexOf("/")))?.isDeleted !== true)
      ledger.fail(`files: a row names ${key}, which is not there`);
  }
  for (const name of ["a", "b"]) {
    for (const [path] of machine().disk.tree(`${DATA}/work-${name}`)) {
      if (path !== `${DATA}/work-${name}`) ledger.fail(`files: ${path} is left in the working directory`);
    }
  }
  checkIndex(nemesis.server!, ledger);
}

/** Whoever wanted to be told of an outcome was told, or wants no more of it. */
function checkWebhooks({ nemesis, ledger }: Rest): void {
  const { pending } = nemesis.server!.store.deliveries;
  if (pending > 0) ledger.fail(`webhooks: ${pending} are pending at rest`);
  for (const { id, webhook, outcome } of ledger.told.values()) {
    if (webhook === null) continue;
    const event = outcome.status === "COMPLETED" ? "completed" : "failed";
    const isWanted = webhook.events.length === 2 || (outcome.status !== null && webhook.events.includes(event));
    if (isWanted && !ledger.acknowledged.has(id))
      ledger.fail(`webhooks: nobody was told of ${id}, which is ${outcome.status}`);
  }
}

/** What is in memory is what is in the file. */
function checkIndex({ store }: SimulatedServer, ledger: Ledger): void {
  query((db) => {
    const count = (where: string): number => {
      return (db.prepare(`SELECT count(*) AS n FROM requests WHERE ${where}`).get() as unknown as { n: number }).n;
    };
    if (count("status = 0") !== store.load.waiting)
      ledger.fail(`index: ${store.load.waiting} wait, and ${count("status = 0")} rows`);
    const { integrity_check: integrity } = db.prepare("PRAGMA integrity_check").get() as unknown as {
      integrity_check: string;
    };
    if (integrity !== "ok") ledger.fail(`the file is damaged: ${integrity}`);
  });
}

/** What must not be left then: deliveries that were given up stay for a week, for whoever asks for them again. */
const LEFT: readonly string[] = [
  "requests",
  "inputs",
  "past_attempts",
  "deliveries WHERE state <> 2",
  "results WHERE number NOT IN (SELECT result FROM deliveries WHERE result IS NOT NULL)",
];

/** Nothing is left of what has expired. */
function checkGone({ ledger }: Rest): void {
  query((db) => {
    for (const rows of LEFT) {
      const { n } = db.prepare(`SELECT count(*) AS n FROM ${rows}`).get() as unknown as { n: number };
      if (n > 0) ledger.fail(`expiry: there are ${n} ${rows} when all have expired`);
    }
  });
  for (const [path, bytes] of machine().disk.tree(FILES)) {
    if (bytes !== null) ledger.fail(`expiry: ${path} is left when all have expired`);
  }
}

function query(work: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(`${DATA}/inferq.db`, { readOnly: true });
  try {
    work(db);
  } finally {
    db.close();
  }
}

/** Holds what is left when all is over against what clients know and against the marks that the runs left. */
import { readFileSync } from "node:fs";
import type { Entry } from "../lib/ledger.ts";
import { filesOf, namedBy, readBlob, readFileKeys, readRows, type Row } from "./at-rest.ts";
import { Runs } from "./runs.ts";
import { makerOf } from "./work.ts";
import type { Facts, World } from "./world.ts";

/** How often a request is tried at most, as the docs have it: crashes, and errors that its model calls passing, each apart. */
const TRIES = 3;

/** Tells the ledger whatever is wrong. */
export function checkAtRest(world: World, directory: string, marks: string): void {
  const { ledger } = world;
  const runs = new Runs(readFileSync(marks, "utf8"));
  const { rows, faults } = readRows(directory);
  const files = readFileKeys(directory);
  for (const fault of [...faults, ...files.faults]) ledger.problem(`at rest: ${fault}`);

  const named = new Set<string>();
  let unknown = 0;
  for (const row of rows) {
    for (const key of namedBy(row)) {
      named.add(key);
      if (!files.keys.has(key)) ledger.problem(`its row names the file ${key}, which is not there`, row.id);
    }
    const entry = ledger.get(row.id);
    if (entry === undefined) unknown += 1;
    else checkRow(world, entry, row, directory, runs);
    checkCounts(world, row);
  }
  for (const key of files.keys)
    if (!named.has(key)) ledger.problem(`no row names the file ${key}`, key.slice(0, key.indexOf("/")));
  if (unknown > world.lost)
    ledger.problem(`${unknown} requests that nobody submitted, where ${world.lost} submits got no answer`);

  const kept = new Map(rows.map((row) => [row.id, row]));
  for (const entry of ledger.entries()) {
    checkOutcome(world, entry);
    // What had a short life is gone by the time at which was swept.
    const gone = { askedAt: Date.now(), answeredAt: Date.now() };
    if (!kept.has(entry.id) && entry.lifeMs === null) ledger.gone(entry, "the database", gone);
  }
  runs.check(world, kept);
}

/** What webhooks told is what everybody was told, and nobody was told of a request that there was not. */
export function checkWebhooks({ ledger, receivers, lost }: World): void {
  let unknown = 0;
  for (const { told, problems } of receivers) {
    for (const problem of problems) ledger.problem(problem);
    for (const { id, outcome, at } of told.values()) {
      const entry = ledger.get(id);
      if (entry === undefined) unknown += 1;
      else if (!entry.facts.webhook) ledger.problem("its webhook came, and it asked for none", id);
      else ledger.outcome(entry, outcome, "webhook", at);
    }
  }
  if (unknown > lost) ledger.problem(`webhooks of ${unknown} requests that nobody submitted`);
}

/** Lives shorter than this tell nothing of memory, ms. */
const WARM_MS = 1_500;
/** What garbage collection leaves to chance, bytes. */
const MEMORY_SLACK = 96 * 2 ** 20;

/** The last lives of the server hold no more memory than the first. */
export function checkMemory({ ledger, lives }: World): void {
  const sizes = lives.past.filter(({ memory, agedMs }) => memory > 0 && agedMs > WARM_MS).map(({ memory }) => memory);
  const third = Math.ceil(sizes.length / 3);
  const [before, after] = [median(sizes.slice(0, third)), median(sizes.slice(-third))];
  if (after > before + MEMORY_SLACK) {
    ledger.problem(
      `memory grows: ${Math.round(before / 2 ** 20)} MB in the first third of the lives, ${Math.round(after / 2 ** 20)} MB in the last`,
    );
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** The outcome is one that this request may have. */
function checkOutcome({ ledger }: World, entry: Entry<Facts>): void {
  const { facts, outcome, lifeMs } = entry;
  if (outcome === null) return; // it was gone before anybody asked
  if (outcome.status === "COMPLETED") {
    if (facts.fate === "fails" || facts.fate === "poison")
      ledger.problem(`it completed, and its model cannot`, entry.id);
    return;
  }
  const codes: Readonly<Record<string, boolean>> = {
    model_error: facts.fate === "fails",
    retries_exhausted: facts.fate === "again",
    cancelled: facts.cancelled,
    start_timeout: facts.startTimeout,
    expired: lifeMs !== null,
    runner_crashed: true, // by the nemesis, or its neighbour
    lease_lost: true,
  };
  if (codes[outcome.code ?? "model_error"] !== true) ledger.problem(`it failed with ${outcome.code}`, entry.id);
}

/** What the row says is what was told, and its result is what its model makes of its input, by the attempt that settled it. */
function checkRow({ ledger }: World, entry: Entry<Facts>, row: Row, directory: string, runs: Runs): void {
  const { id, result } = row;
  const at = Date.now();
  const status = row.status === 2 ? "COMPLETED" : "FAILED";
  ledger.finished(entry, { status, ...(row.failure_code !== null && { code: row.failure_code }) }, "the database", {
    askedAt: at - 1,
    answeredAt: at,
  });
  if (result === null) return;
  const outputs =
    result.kind === "text" && typeof result.text === "string"
      ? [Buffer.from(result.text)]
      : filesOf(result).map(({ key }) => readBlob(directory, key));
  const { pictures } = entry.facts;
  if (outputs.length !== Math.max(1, pictures)) ledger.problem(`its result has ${outputs.length} files`, id);
  for (const { key } of filesOf(result)) {
    if (!key.startsWith(`${id}/${row.leases}/`))
      ledger.problem(`the file ${key} of its result is not of attempt ${row.leases}, which settled it`, id);
  }
  for (const [index, output] of outputs.entries()) {
    const maker = makerOf(output, entry.facts, pictures === 0 ? null : index);
    if (maker === null) ledger.problem(`output ${index} at rest is not what its model makes`, id);
    else if (maker.id !== "-" && maker.attempt !== row.leases) {
      ledger.problem(`attempt ${maker.attempt} made its result, and attempt ${row.leases} settled it`, id);
    } else if (!runs.isLast(maker)) ledger.problem(`its result is not of the last run of attempt ${maker.attempt}`, id);
  }
}

/** Attempts add up, and none is beyond what its kind of failure has tries for. */
function checkCounts({ ledger }: World, row: Row): void {
  const { id, status, leases, attempts, crashes, past, failure_code: code } = row;
  const isCrash = (one: string | null): boolean => one === "runner_crashed" || one === "lease_lost";
  const open = leases - past.length; // the lease that the outcome ended, if one did
  const spent = past.filter((one) => one !== null).length + (open === 1 && code !== "cancelled" ? 1 : 0);
  const died = past.filter(isCrash).length + (open === 1 && isCrash(code) ? 1 : 0);
  if (open < 0 || open > 1 || (status === 2 && open !== 1))
    ledger.problem(`${leases} leases, of which ${past.length} are told of`, id);
  if (attempts !== spent) ledger.problem(`${attempts} attempts counted, ${spent} spent`, id);
  if (crashes !== died) ledger.problem(`${crashes} crashes counted, of ${died}`, id);
  if (crashes > TRIES) ledger.problem(`it was tried again after ${crashes} crashes`, id);
  if (attempts - crashes > TRIES) ledger.problem(`it was tried ${attempts - crashes} times`, id);
}

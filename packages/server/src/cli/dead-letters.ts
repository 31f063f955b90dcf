/** `inferq dead-letters`: through the server that uses the data directory, which alone can run one once more. */
import { type Flags, loadConfig } from "../config/load.ts";
import { StartError } from "../config/start-error.ts";
import { isId } from "../core/ids.ts";
import type { DeadLetterAnswer, DeadLetterCommand, Replayed } from "../server/dead-letter-commands.ts";
import { askServer } from "./reach-server.ts";
import { COMMAND, say } from "./say.ts";
import { UsageError } from "./usage-error.ts";

/** How long a server has to answer: it may have files to copy. */
const ANSWER_MS = 60_000;
/** So many are asked for, and so many replayed, at a time. */
const PAGE = 200;
const REPLAYED_AT_ONCE = 20;

interface Filter {
  readonly model?: string;
}

interface Page {
  readonly body: string;
  readonly next: string | null;
}

/** As the server shows them to the operator. */
interface Shown {
  readonly request_id: string;
  readonly model: string;
  readonly owner: string;
  readonly finished_at: string;
  readonly attempts: number;
  readonly error_code: string;
  readonly replayed: boolean;
}

/** Prints page after page as it comes: there may be a million. */
export async function listDeadLetters(options: Flags & Filter & { readonly json?: boolean }): Promise<void> {
  const { dataDir } = await loadConfig(options);
  let count = 0;
  for await (const page of pagesOf(dataDir, options, null)) {
    for (const one of page) {
      if (options.json === true) process.stdout.write(`${count === 0 ? "[" : ","}\n${JSON.stringify(one)}`);
      else process.stdout.write(`${count === 0 ? `${line(HEADER)}\n` : ""}${line(cells(one))}\n`);
      count++;
    }
  }
  if (options.json === true) process.stdout.write(count === 0 ? "[]\n" : "\n]\n");
  else if (count === 0)
    say(`No dead letters${options.model === undefined ? "" : ` of ${options.model}`} in ${dataDir}.`);
}

/** Prints one with its attempts and its input, as JSON. */
export async function showDeadLetter(options: Flags, id: string): Promise<void> {
  checkIds([id]);
  const { dataDir } = await loadConfig(options);
  const { body } = await ask<{ readonly body: string }>({ do: "show dead letter", id }, dataDir);
  process.stdout.write(`${JSON.stringify(JSON.parse(body), null, 2)}\n`);
}

/** Runs them once more; prints a line for each new request. With `all`, those that no replay or retry has run yet. */
export async function replayDeadLetters(
  options: Flags & Filter & { readonly all?: boolean },
  ids: readonly string[],
): Promise<void> {
  const all = options.all === true;
  if (all === ids.length > 0) throw new UsageError(`dead-letters replay takes ids, or --all. See ${COMMAND} --help.`);
  if (!all && options.model !== undefined) throw new UsageError("--model goes with --all: ids say which.");
  checkIds(ids);
  const { dataDir } = await loadConfig(options);
  const refused: Extract<Replayed, { readonly sentence: string }>[] = [];
  let replayed = 0;
  for await (const some of all ? openIds(dataDir, options) : batches([...new Set(ids)])) {
    for (const one of await replay(some, all, dataDir)) {
      if ("request" in one) {
        replayed++;
        process.stdout.write(`${one.id} ${one.request}\n`);
      } else refused.push(one);
    }
    if (all && refused.some(({ isFull }) => isFull)) break; // the next ones would be refused too
  }
  say(`${replayed} replayed.`);
  const [first] = refused;
  if (first === undefined) return;
  const more = refused.length === 1 ? "" : ` (and ${refused.length - 1} more)`;
  throw new StartError(`Not replayed: ${first.id}${more}. ${first.sentence}`);
}

async function replay(ids: readonly string[], onlyOpen: boolean, dataDir: string): Promise<readonly Replayed[]> {
  const command = { do: "replay dead letters", ids, onlyOpen } as const;
  return (await ask<{ readonly replayed: readonly Replayed[] }>(command, dataDir)).replayed;
}

/** The ids of all that are open. New ones come before the first page, and are not met. */
async function* openIds(dataDir: string, filter: Filter): AsyncGenerator<string[]> {
  for await (const page of pagesOf(dataDir, filter, "open")) yield* batches(page.map((one) => one.request_id));
}

function* batches(ids: readonly string[]): Generator<string[]> {
  for (let at = 0; at < ids.length; at += REPLAYED_AT_ONCE) yield ids.slice(at, at + REPLAYED_AT_ONCE);
}

async function* pagesOf(dataDir: string, { model = "" }: Filter, state: "open" | null): AsyncGenerator<Shown[]> {
  const wish = { do: "list dead letters", model: model || null, state, limit: PAGE } as const;
  for (let before: string | null = null; ;) {
    const page: Page = await ask<Page>({ ...wish, before }, dataDir);
    yield (JSON.parse(page.body) as { readonly dead_letters: Shown[] }).dead_letters;
    if (page.next === null) return;
    before = page.next;
  }
}

async function ask<Answer>(command: DeadLetterCommand, dataDir: string): Promise<Answer> {
  const answer = await askServer<DeadLetterAnswer>(command, dataDir, ANSWER_MS);
  if (answer === undefined) {
    throw new StartError(
      `No server uses ${dataDir}. Dead letters are looked at and replayed through the one that does: ${COMMAND} start.`,
    );
  }
  if (!answer.ok) throw new StartError(answer.sentence);
  return answer as Answer;
}

function checkIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !isId(id));
  if (wrong !== undefined) throw new UsageError(`Expected the id of a request, got ${JSON.stringify(wrong)}.`);
}

const HEADER = ["REQUEST", "FAILED", "WHY", "ATTEMPTS", "REPLAYED", "OWNER", "MODEL"];
const WIDTHS = [36, 24, 17, 8, 8, 16, 0];

function cells({
  request_id: id,
  finished_at: at,
  error_code: why,
  attempts,
  replayed,
  owner,
  model,
}: Shown): string[] {
  return [id, at, why, String(attempts), replayed ? "yes" : "no", owner, model];
}

function line(row: readonly string[]): string {
  return row
    .map((cell, column) => cell.padEnd(WIDTHS[column]!))
    .join("  ")
    .trimEnd();
}

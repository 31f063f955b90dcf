/** What an answer tells of a request, told to the ledger; and whether a result is what its model makes of its input. */
import { type Answer, fields, isAnswer, type NoAnswer } from "../lib/http.ts";
import type { Entry } from "../lib/ledger.ts";
import { outcomeOf } from "./receiver.ts";
import { clip, say } from "./talk.ts";
import { makerOf, type RunOf } from "./work.ts";
import { type Facts, ORIGIN, type World } from "./world.ts";

/** Of an answer on `entry`'s status, result or the like. True: it told of an outcome, or that the request is gone. */
export function hear({ ledger }: World, entry: Entry<Facts>, where: string, answer: Answer | NoAnswer): boolean {
  if (!isAnswer(answer) || answer.status >= 500) return false;
  if (answer.status === 404) {
    ledger.gone(entry, where, answer);
    return true;
  }
  const body = fields(answer);
  const { status } = body;
  if (status === "QUEUED" || status === "PROCESSING") ledger.pending(entry, status, where, answer);
  else if (status === "COMPLETED") {
    ledger.finished(entry, outcomeOf(body), where, answer);
    if (body.partial === false) checkText(ledger, entry, where, body.output);
  } else if (status === "FAILED") {
    // That of a conflict is the conflict's own.
    const code = answer.status === 409 ? undefined : answer.headers["x-error-code"]?.toString();
    ledger.finished(entry, { status, ...(code !== undefined && { code }) }, where, answer);
  } else ledger.problem(`${where} was answered ${answer.status} ${clip(answer)}`, entry.id);
  return status === "COMPLETED" || status === "FAILED";
}

/** Reads the files that a result names and compares their bytes. */
export async function readFiles(world: World, entry: Entry<Facts>, answer: Answer): Promise<void> {
  const { images = [] } = fields(answer) as { images?: readonly { url: string; file_size: string }[] };
  const { ledger } = world;
  if (images.length !== entry.facts.pictures)
    ledger.problem(`${images.length} pictures came of ${entry.facts.pictures}`, entry.id);
  const makers = new Set<string>();
  for (const [index, { url, file_size: size }] of images.entries()) {
    const file = await say(world, { path: url.slice(ORIGIN.length) });
    if (!isAnswer(file) || file.status >= 500) return;
    if (file.status === 404) return ledger.gone(entry, "a file", file);
    const maker = makerOf(file.body, entry.facts, index);
    if (file.status !== 200 || maker === null || String(file.body.length) !== size) {
      return ledger.problem(
        `the file ${url} (${file.status}, ${file.body.length} bytes) is not what its model made`,
        entry.id,
      );
    }
    makers.add(maker.run);
    checkMaker(ledger, entry, "a file", maker);
  }
  if (makers.size > 1) ledger.problem("the files of one result were made by different runs", entry.id);
}

function checkText(ledger: World["ledger"], entry: Entry<Facts>, where: string, text: string): void {
  const maker = makerOf(Buffer.from(text), entry.facts);
  if (maker === null)
    ledger.problem(`${where} tells a text that its model did not make: ${text.slice(0, 100)}`, entry.id);
  else checkMaker(ledger, entry, where, maker);
}

function checkMaker(ledger: World["ledger"], entry: Entry<Facts>, where: string, { id, attempt }: RunOf): void {
  if (id !== "-" && id !== entry.id) ledger.problem(`${where} tells what attempt ${attempt} of ${id} made`, entry.id);
}

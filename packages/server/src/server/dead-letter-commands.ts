/** What the command line asks of the dead letters of a running server. */
import type { BlobStore } from "../blob/blob-store.ts";
import { type ErrorCode, InferqError } from "../core/errors.ts";
import type { DeadLetterState } from "../core/request.ts";
import { wholeBody } from "../gateway/dead-letters.ts";
import type { ReplayDeadLetter } from "../gateway/replay.ts";
import type { RequestStore } from "../store/store.ts";
import { deadLettersBody } from "../wire/dead-letters.ts";

/** Null: no filter, or the first page. */
export type DeadLetterCommand =
  | {
      readonly do: "list dead letters";
      readonly model: string | null;
      readonly state: DeadLetterState | null;
      readonly before: string | null;
      readonly limit: number;
    }
  | { readonly do: "show dead letter"; readonly id: string }
  | { readonly do: "replay dead letters"; readonly ids: readonly string[]; readonly onlyOpen: boolean };

/** What became of one replay: the new request, or why there is none. `isFull`: the server refuses every other one now too. */
export type Replayed =
  | { readonly id: string; readonly request: string }
  | { readonly id: string; readonly sentence: string; readonly isFull: boolean };

/** What is refused with these is refused whichever it is. */
const OF_ALL: ReadonlySet<ErrorCode> = new Set([
  "server_queue_full",
  "disk_full",
  "store_unavailable",
  "shutting_down",
]);

/** `body`: JSON, a page as `GET /v2/dead-letters` answers it to the operator, or one dead letter. */
export type DeadLetterAnswer =
  | { readonly ok: true; readonly body: string; readonly next: string | null }
  | { readonly ok: true; readonly replayed: readonly Replayed[] }
  | { readonly ok: false; readonly sentence: string };

/** The parts of a running server that know its dead letters. */
export interface DeadLetterDesk {
  readonly store: RequestStore;
  readonly blobs: BlobStore;
  readonly replay: ReplayDeadLetter;
}

/** Does what `command` says. */
export async function obeyOnDeadLetters(desk: DeadLetterDesk, command: DeadLetterCommand): Promise<DeadLetterAnswer> {
  try {
    return await done(desk, command);
  } catch (error) {
    return { ok: false, sentence: sentenceOf(error) };
  }
}

async function done(desk: DeadLetterDesk, command: DeadLetterCommand): Promise<DeadLetterAnswer> {
  const { store } = desk;
  switch (command.do) {
    case "list dead letters": {
      const { model, state, before, limit } = command;
      const filters = { ...(model && { model }), ...(state && { state }), ...(before && { before }) };
      const { deadLetters, next } = await store.deadLetters({ ...filters, limit });
      return { ok: true, body: deadLettersBody(deadLetters, next, true), next };
    }
    case "show dead letter": {
      const { id } = command;
      const found = await store.get(id);
      if (found === undefined || found.deadLetter === null) throw new InferqError("unknown_dead_letter", { id });
      return { ok: true, body: await wholeBody(desk, found, true), next: null };
    }
    case "replay dead letters": {
      const { ids, onlyOpen } = command;
      const each = await Promise.all(ids.map((id) => replayed(desk, id, onlyOpen)));
      return { ok: true, replayed: each.filter((one) => one !== undefined) };
    }
  }
}

/** Undefined: somebody else has replayed it. */
async function replayed({ replay }: DeadLetterDesk, id: string, onlyOpen: boolean): Promise<Replayed | undefined> {
  try {
    const request = await replay(id, onlyOpen);
    return request === undefined ? undefined : { id, request };
  } catch (error) {
    const isFull = error instanceof InferqError && OF_ALL.has(error.code);
    return { id, sentence: sentenceOf(error), isFull };
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** One request that is followed: what all who follow it share, so that ten thousand cost one look and one reading. */
import { isFinished } from "../core/request.ts";
import type { EventLog, EventPage } from "../store/events.ts";
import type { RequestStatus } from "../store/store.ts";
import { cursorOf, goneData, nextPiece, type Piece, type Prospect, statusData } from "../wire/events.ts";
import type { GatewayContext } from "./context.ts";
import type { EventStream } from "./event-stream.ts";
import { prospectOf } from "./outlook.ts";
import { notFound } from "./own-request.ts";

/** The state of a request, as of the last look. */
export interface State {
  /** Undefined: it is gone. */
  readonly view: RequestStatus | undefined;
  /** The same for two states between which there is nothing to tell. */
  readonly key: string;
  /** What is told of it. */
  readonly data: string;
}

/** What comes next in the log, and the attempt that told it. */
export type Reading = { readonly piece: Piece; readonly attempt: number } | undefined;

type Context = Pick<GatewayContext, "store" | "models" | "ids" | "clock" | "settings">;

export class EventTopic {
  readonly id: string;
  readonly streams: Set<EventStream> = new Set();
  state: State;
  readonly #context: Context;
  readonly #log: EventLog;
  readonly #owner: string;
  /** What was read last, and behind which id. Most who follow one request have read equally far. */
  #last: { readonly after: string; readonly reading: Reading | Promise<Reading> } | undefined;

  constructor(context: Context, log: EventLog, view: RequestStatus) {
    this.id = view.id;
    this.#context = context;
    this.#log = log;
    this.#owner = view.owner;
    this.state = this.#stateOf(view);
  }

  /** Takes what a look has found. Answers whether there is something to tell. */
  found(view: RequestStatus | undefined): boolean {
    const state = this.#stateOf(view, this.state);
    if (state === this.state) return false;
    this.state = state;
    return true;
  }

  /** What follows in the log behind the id `after`. */
  read(after: string): Reading | Promise<Reading> {
    if (this.#last?.after === after) return this.#last.reading;
    const found = this.#log.read(this.id, cursorOf(after));
    const reading = found instanceof Promise ? found.then(readingOf) : readingOf(found);
    this.#last = { after, reading };
    return reading;
  }

  /** There may be more in the log than was read last. */
  forget(): void {
    this.#last = undefined;
  }

  /** The state that `view` shows; `before` where nothing has changed since. */
  #stateOf(view: RequestStatus | undefined, before?: State): State {
    const prospect = view === undefined ? null : prospectOf(this.#context, view);
    const key = keyOf(view, prospect);
    if (before?.key === key) return before;
    if (view !== undefined) return { view, key, data: statusData(view, prospect) };
    const { message, code } = notFound(this.#context, this.#owner, this.id);
    return { view, key, data: goneData(this.id, message, code) };
  }
}

/** The estimate is not in it: it changes all the time. */
function keyOf(view: RequestStatus | undefined, prospect: Prospect | null): string {
  if (view === undefined) return "gone";
  const { status, leases } = view;
  if (isFinished(status)) return status;
  return `${status} ${leases} ${prospect?.position} ${prospect?.waitReason}`;
}

function readingOf(page: EventPage | undefined): Reading {
  const piece = page && nextPiece(page);
  return piece && { piece, attempt: page.attempt };
}

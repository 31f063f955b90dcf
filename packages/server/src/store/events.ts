/**
 * The contract of the event log: what runs tell while they run. A hint, never the truth: it is bounded, it may
 * lose its beginning, and all of it in a crash. What a request's state is the request store tells.
 */

/** What a run tells. */
export type RunEvent =
  /** How far it is, 0 to 1. */
  | { readonly type: "progress"; readonly fraction: number }
  /** One line. */
  | { readonly type: "log"; readonly message: string }
  /** The next piece of the text that is to be the output. */
  | { readonly type: "output"; readonly text: string };

/**
 * Up to where somebody has read the log of one request. It is read from the client's own text: whatever its
 * fields are, reading behind it is safe, and what does not fit this log reads from its beginning.
 */
export interface EventCursor {
  /** Which log it was: a new one after each start of what holds it. */
  readonly log: string;
  /** Number of the lease that was told of. */
  readonly attempt: number;
  /** Number of the last line or progress read; they are counted together, from 1 in each attempt. */
  readonly seq: number;
  /** How much of the output, in UTF-16 units. */
  readonly output: number;
}

/** What the log holds of one request behind a cursor: of its latest attempt, the earlier ones are forgotten. */
export interface EventPage {
  readonly attempt: number;
  /** Lines and the latest progress, in their order. */
  readonly events: readonly LoggedEvent[];
  /** The output from `at` on; null where there is no more than the cursor knew. `at` 0: from the beginning. */
  readonly output: { readonly at: number; readonly text: string } | null;
  /** Where to read on. */
  readonly next: EventCursor;
}

export interface LoggedEvent {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly event: Exclude<RunEvent, { type: "output" }>;
}

export interface EventLog {
  /** Adds what the run under `token` tells. False: that lease no longer holds, and nothing was added. */
  append(id: string, token: string, event: RunEvent): boolean | Promise<boolean>;
  /** What is there behind `after`, or from the beginning. Undefined: nothing was told of this request, or it is forgotten. */
  read(id: string, after: EventCursor | null): EventPage | undefined | Promise<EventPage | undefined>;
  /** The output so far of the run under way; undefined where none was told. */
  output(id: string): string | undefined | Promise<string | undefined>;
  /** Calls `listener` with the id of a request of which something was told; a latency hint, as wakes are. Returns what stops it. */
  onAppend(listener: (id: string) => void): () => void;
}

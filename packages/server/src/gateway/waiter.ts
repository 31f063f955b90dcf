/**
 * Waiting for requests to finish. The store's wake is only a hint that it is time to look; looking is
 * what counts. However many wait, a completion costs one look at its own request, and all that is done
 * without a hint is one shared round: ten thousand waits cost memory and a few thousandths of a core.
 */
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isFinished } from "../core/request.ts";
import type { RequestStatus, RequestStore } from "../store/store.ts";

/** How often all are looked at where the store gives hints, for one may be lost. */
const ROUND_MS = 5_000;
/** The same for a store that gives none. */
const ROUND_WITHOUT_HINTS_MS = 250;
/** Requests looked at, and clients answered, in one turn of the event loop: others are served between. */
const IN_ONE_TURN = 64;
/** How often the keys of all are looked at: one that is revoked or expires lets nobody wait on. */
const KEYS_MS = 500;
/** The longest that a timer takes. */
const MOST_MS = 2 ** 31 - 1;

export interface Waiter {
  /**
   * Calls `then` once, in a later turn: when the request has an outcome or does not exist any more, when
   * `waitMs` have passed, when its client may wait no longer, or at `stop`. Not at all if the client that `response` is for goes away before.
   */
  wait(id: string, waitMs: number, response: ServerResponse, then: () => void): void;
  /** `wait` as a promise; it stays open if the client goes away. */
  finished(id: string, waitMs: number, response: ServerResponse): Promise<void>;
  readonly stopped: boolean;
  /** Ends every wait. */
  stop(): void;
}

type End = () => void;

/** `mayWait`: whether the client that this answer is for has a good key still. */
export function waiter(store: RequestStore, mayWait: (response: ServerResponse) => boolean): Waiter {
  /** By their requests. */
  const waiting = new Map<string, Map<End, ServerResponse>>();
  /** Waits that are over; their clients are answered a few in each turn. */
  const over: End[] = [];
  let round: NodeJS.Timeout | undefined;
  let keysRound: NodeJS.Timeout | undefined;
  const stopping = new AbortController();
  const forget = store.onWake?.((wake) => {
    if (wake.type === "finished" && waiting.has(wake.id)) void look(wake.id);
  });
  const roundMs = forget === undefined ? ROUND_WITHOUT_HINTS_MS : ROUND_MS;

  function wait(id: string, waitMs: number, response: ServerResponse, then: () => void): void {
    if (response.closed) return;
    if (stopping.signal.aborted) return release([then]);
    let isOver = false;
    // Its time may be over in the same turn in which its request finishes: both release it.
    const end = (): void => {
      if (isOver) return;
      leave();
      then();
    };
    const leave = (): void => {
      isOver = true;
      clearTimeout(timer);
      response.off("close", leave);
      remove(id, end);
    };
    const timer = setTimeout(release, Math.min(waitMs, MOST_MS), [end]);
    response.on("close", leave);
    add(id, end, response);
    void look(id); // it may have finished before
  }

  function add(id: string, end: End, response: ServerResponse): void {
    const ends = waiting.get(id);
    if (ends === undefined) waiting.set(id, new Map([[end, response]]));
    else ends.set(end, response);
    round ??= setTimeout(() => void lookAtAll(), roundMs);
    keysRound ??= setInterval(lookAtKeys, KEYS_MS);
  }

  function remove(id: string, end: End): void {
    const ends = waiting.get(id);
    if (ends?.delete(end) === true && ends.size === 0) waiting.delete(id);
  }

  /** No promise unless the store needs one: a round over ten thousand is to leave nothing behind. */
  function look(id: string): void | Promise<void> {
    try {
      const view = store.status(id);
      if (view instanceof Promise) return view.then((later) => found(id, later), cannotTell);
      found(id, view);
    } catch {
      cannotTell();
    }
  }

  function found(id: string, view: RequestStatus | undefined): void {
    if (isRunning(view)) return;
    const ends = waiting.get(id);
    waiting.delete(id);
    if (ends !== undefined) release(ends.keys());
  }

  /** Some at a time, so that no store is asked ten thousand things at once, and nobody else waits for it. */
  async function lookAtAll(): Promise<void> {
    let asked: Promise<void>[] = [];
    let inThisTurn = 0;
    // What is added meanwhile is looked at too, which does no harm; what is removed is not.
    for (const id of waiting.keys()) {
      const later = look(id);
      if (later !== undefined) asked.push(later);
      if (++inThisTurn < IN_ONE_TURN) continue;
      await Promise.all(asked);
      await nextTurn();
      if (stopping.signal.aborted) return;
      asked = [];
      inThisTurn = 0;
    }
    round = waiting.size === 0 ? undefined : setTimeout(() => void lookAtAll(), roundMs);
  }

  /** A look at a key takes less than a microsecond. */
  function lookAtKeys(): void {
    for (const ends of waiting.values()) {
      for (const [end, response] of ends) if (!mayWait(response)) release([end]);
    }
    if (waiting.size > 0) return;
    clearInterval(keysRound);
    keysRound = undefined;
  }

  function release(ends: Iterable<End>): void {
    if (over.length === 0) setImmediate(answerSome);
    for (const end of ends) over.push(end);
  }

  function answerSome(): void {
    const some = over.splice(0, IN_ONE_TURN);
    if (over.length > 0) setImmediate(answerSome);
    for (const end of some) end();
  }

  return {
    wait,
    finished: (id, waitMs, response) => new Promise((resolve) => wait(id, waitMs, response, resolve)),
    get stopped() {
      return stopping.signal.aborted;
    },
    stop() {
      stopping.abort();
      forget?.();
      clearTimeout(round);
      clearInterval(keysRound);
      for (const ends of waiting.values()) release(ends.keys());
    },
  };
}

/** The next round asks again, and whoever's time is over before is told why. */
function cannotTell(): void {}

function isRunning(view: RequestStatus | undefined): boolean {
  return view !== undefined && !isFinished(view.status);
}

/**
 * Waiting for requests to finish. The store's wake is only a hint that it is time to look; looking is
 * what counts. However many wait, a completion costs one look at its own request, and all that is done
 * without a hint is one shared round: ten thousand waits cost memory and a few thousandths of a core.
 */
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RequestStatus, RequestStore } from "../store/store.ts";

/** How often all are looked at where the store gives hints: one may be lost, and expiry gives none until the sweep. */
const ROUND_MS = 1_000;
/** The same for a store that gives none. */
const ROUND_WITHOUT_HINTS_MS = 250;
/** Requests looked at, and clients answered, in one turn of the event loop: others are served between. */
const IN_ONE_TURN = 64;
/** The longest that a timer takes. */
const MOST_MS = 2 ** 31 - 1;

export interface Waiter {
  /**
   * Resolves with true when the request has an outcome or does not exist any more, when `waitMs` have
   * passed, or at `stop`: look then. With false as soon as the client that `response` is for has gone away.
   */
  finished(id: string, waitMs: number, response: ServerResponse): Promise<boolean>;
  readonly stopped: boolean;
  /** Ends every wait. */
  stop(): void;
}

type End = () => void;

export function waiter(store: RequestStore): Waiter {
  const waiting = new Map<string, Set<End>>();
  /** Waits that are over; their clients are answered a few in each turn. */
  const over: End[] = [];
  let round: NodeJS.Timeout | undefined;
  const stopping = new AbortController();
  const forget = store.onWake?.((wake) => {
    if (wake.type === "finished" && waiting.has(wake.id)) void look(wake.id);
  });
  const roundMs = forget === undefined ? ROUND_WITHOUT_HINTS_MS : ROUND_MS;

  function finished(id: string, waitMs: number, response: ServerResponse): Promise<boolean> {
    if (response.closed) return Promise.resolve(false);
    if (stopping.signal.aborted) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const leave = (answerable: boolean): void => {
      clearTimeout(timer);
      response.off("close", gone);
      remove(id, end);
      resolve(answerable);
    };
    const end = (): void => leave(true);
    const gone = (): void => leave(false);
    const timer = setTimeout(release, Math.min(waitMs, MOST_MS), [end]);
    response.once("close", gone);
    add(id, end);
    void look(id); // it may have finished before
    return promise;
  }

  function add(id: string, end: End): void {
    const ends = waiting.get(id);
    if (ends === undefined) waiting.set(id, new Set([end]));
    else ends.add(end);
    round ??= setTimeout(() => void lookAtAll(), roundMs);
  }

  function remove(id: string, end: End): void {
    const ends = waiting.get(id);
    if (ends?.delete(end) === true && ends.size === 0) waiting.delete(id);
  }

  async function look(id: string): Promise<void> {
    try {
      if (isRunning(await store.status(id))) return;
    } catch {
      return; // the store cannot tell now; the next round asks again, and whoever's time is over hears why
    }
    const ends = waiting.get(id);
    waiting.delete(id);
    if (ends !== undefined) release(ends);
  }

  async function lookAtAll(): Promise<void> {
    const ids = [...waiting.keys()];
    for (let at = 0; at < ids.length && !stopping.signal.aborted; at += IN_ONE_TURN) {
      await Promise.all(ids.slice(at, at + IN_ONE_TURN).map(look));
      await nextTurn();
    }
    round = waiting.size === 0 || stopping.signal.aborted ? undefined : setTimeout(() => void lookAtAll(), roundMs);
  }

  function release(ends: Iterable<End>): void {
    if (over.length === 0) setImmediate(answerSome);
    over.push(...ends);
  }

  function answerSome(): void {
    for (const end of over.splice(0, IN_ONE_TURN)) end();
    if (over.length > 0) setImmediate(answerSome);
  }

  return {
    finished,
    get stopped() {
      return stopping.signal.aborted;
    },
    stop() {
      stopping.abort();
      forget?.();
      clearTimeout(round);
      for (const ends of waiting.values()) release(ends);
    },
  };
}

function isRunning(view: RequestStatus | undefined): boolean {
  return view?.status === "QUEUED" || view?.status === "PROCESSING";
}

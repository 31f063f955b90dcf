/** Waiting for a request to finish. The store's wake is only a hint that it is time to look; looking is what counts. */
import type { RequestStatus, RequestStore } from "../store/store.ts";

/** How often one looks without a hint: a hint may be lost, or come from another process and never arrive. */
const LOOK_EVERY_MS = 250;

export interface Waiter {
  /** Resolves when the request has an outcome or does not exist any more, when `waitMs` have passed, or at `stop`. */
  finished(id: string, waitMs: number): Promise<void>;
  readonly stopped: boolean;
  /** Ends every wait. */
  stop(): void;
}

export function waiter(store: RequestStore): Waiter {
  const waiting = new Map<string, Set<() => void>>();
  const stopping = new AbortController();
  const forget = store.onWake?.((wake) => {
    if (wake.type === "finished") for (const look of waiting.get(wake.id) ?? []) look();
  });

  async function finished(id: string, waitMs: number): Promise<void> {
    const until = performance.now() + waitMs;
    while (!stopping.signal.aborted && isRunning(await store.status(id))) {
      const left = until - performance.now();
      if (left <= 0) return;
      await hint(id, Math.min(left, LOOK_EVERY_MS));
    }
  }

  function hint(id: string, atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const looks = waiting.get(id) ?? new Set();
      waiting.set(id, looks);
      const look = (): void => {
        clearTimeout(timer);
        looks.delete(look);
        if (looks.size === 0) waiting.delete(id);
        resolve();
      };
      const timer = setTimeout(look, atMostMs);
      looks.add(look);
    });
  }

  return {
    finished,
    get stopped() {
      return stopping.signal.aborted;
    },
    stop() {
      stopping.abort();
      forget?.();
      for (const looks of waiting.values()) for (const look of looks) look();
    },
  };
}

function isRunning(view: RequestStatus | undefined): boolean {
  return view?.status === "QUEUED" || view?.status === "PROCESSING";
}

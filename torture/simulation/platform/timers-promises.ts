/** Stands in for `node:timers/promises`. */
import { machine, TURN_MS } from "../machine.ts";

interface Options {
  readonly signal?: AbortSignal;
}

export function setTimeout<T>(ms = 1, value?: T, { signal }: Options = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal));
    const abort = (): void => {
      due.cancel();
      reject(abortError(signal!));
    };
    const due = machine().afterInOrder(Math.max(1, ms), () => {
      signal?.removeEventListener("abort", abort);
      resolve(value as T);
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

export function setImmediate<T>(value?: T): Promise<T> {
  return new Promise((resolve) => machine().afterInOrder(TURN_MS, () => resolve(value as T)));
}

function abortError(signal: AbortSignal): Error {
  const error = new Error("The operation was aborted", { cause: signal.reason });
  error.name = "AbortError";
  return Object.assign(error, { code: "ABORT_ERR" });
}

/** Work whose length a stranger decides, ended when it has held up everybody else for long enough. */
import { createContext, Script } from "node:vm";

/** Longest that it may take, ms. */
const MOST_MS = 500;

/** The work took longer than it may. */
export class TookTooLong extends Error {}

const script = new Script("work()");
let box: { work: () => void } | undefined;

/**
 * Answers what `work` answers; throws what it throws, or `TookTooLong`. Nothing else ends a regular expression that
 * backtracks. It costs some tenths of a millisecond.
 */
export function bounded<T>(work: () => T): T {
  box ??= createContext({ work: () => {} }) as { work: () => void };
  let answer: T | undefined;
  box.work = () => {
    answer = work();
  };
  try {
    script.runInContext(box, { timeout: MOST_MS });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") throw new TookTooLong();
    throw error;
  } finally {
    box.work = () => {}; // else it would keep the last input
  }
  return answer as T;
}

/** The globals by which code learns the time and waits, in the simulated world. */
import { type Due, machine, TURN_MS } from "./machine.ts";

/** What a timer function answers, as far as anybody asks. */
class Timer {
  readonly #due: { present: Due };

  constructor(due: { present: Due }) {
    this.#due = due;
  }

  cancel(): void {
    this.#due.present.cancel();
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

type Action = (...args: unknown[]) => void;

/** As Node has it: what is no number from 1 to 2^31 - 1 is 1. */
function milliseconds(ms: number | undefined): number {
  return ms !== undefined && ms >= 1 && ms < 2 ** 31 ? ms : 1;
}

function setTimeout(action: Action, ms?: number, ...args: unknown[]): Timer {
  return new Timer({ present: machine().afterInOrder(milliseconds(ms), () => action(...args)) });
}

function setImmediate(action: Action, ...args: unknown[]): Timer {
  return new Timer({ present: machine().afterInOrder(TURN_MS, () => action(...args)) });
}

function setInterval(action: Action, ms?: number, ...args: unknown[]): Timer {
  const every = milliseconds(ms);
  const due = { present: machine().afterInOrder(every, again) };
  function again(): void {
    due.present = machine().afterInOrder(every, again);
    action(...args);
  }
  return new Timer(due);
}

function clear(timer: Timer | undefined): void {
  timer?.cancel();
}

/** Puts them in the place of the real ones, for as long as this process lives. */
export function simulateGlobals(): void {
  const timers = { setTimeout, setImmediate, setInterval };
  const clears = { clearTimeout: clear, clearImmediate: clear, clearInterval: clear };
  Object.assign(globalThis, timers, clears);
  Date.now = () => Math.floor(machine().wallOffset + machine().time);
  performance.now = () => machine().time;
  Math.random = () => machine().random.next();
}

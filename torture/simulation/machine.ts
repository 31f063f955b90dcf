/**
 * The simulated machine: one clock, one disk, processes, and the queue of what happens next. All that
 * happens is a step: something that falls due for one process, with all that follows from it before
 * the next. Which is next is decided by time, and by chance among those of one time; so a seed is a schedule.
 */
import type { Disk } from "./disk.ts";
import type { Random } from "./random.ts";

/** Taken before the simulation puts its own in their place. */
const realTurn = setImmediate;

/** What dies as a whole: a server with its workers, or a client. What it still awaited never comes. */
export class Process {
  readonly name: string;
  isAlive = true;
  /** Until this time nothing falls due for it: it stands still. */
  stalledUntil = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/** Something that falls due, unless it is called off or its process dies before. */
export interface Due {
  cancel(): void;
}

interface Event extends Due {
  at: number;
  readonly order: number;
  readonly process: Process;
  action: (() => void) | null;
}

export class Machine {
  readonly random: Random;
  readonly disk: Disk;
  /** Milliseconds since the machine was switched on. Never goes backwards. */
  time = 0;
  /** What the wall clock says, less `time`: whoever sets it makes it jump. */
  wallOffset = Date.UTC(2026, 0, 1);
  steps = 0;
  /** On whose behalf code runs now. */
  current: Process;
  readonly #queue: Event[] = []; // a binary heap

  constructor(random: Random, disk: Disk, first: Process) {
    this.random = random;
    this.disk = disk;
    this.current = first;
  }

  /** Lets `action` fall due for the current process in `ms`. */
  after(ms: number, action: () => void): Due {
    const event: Event = {
      at: this.time + Math.max(0, ms),
      order: this.random.next(),
      process: this.current,
      action,
      cancel() {
        event.action = null;
      },
    };
    push(this.#queue, event);
    return event;
  }

  /** Runs `work` on behalf of `process`: whatever it starts belongs to that. */
  as<T>(process: Process, work: () => T): T {
    const before = this.current;
    this.current = process;
    try {
      return work();
    } finally {
      this.current = before;
    }
  }

  /** Takes steps until `isOver`. Answers false if nothing is due any more before that. */
  async run(isOver: () => boolean): Promise<boolean> {
    while (!isOver()) if (!(await this.#step())) return false;
    return true;
  }

  async #step(): Promise<boolean> {
    for (let event; (event = pop(this.#queue)) !== undefined;) {
      const { process, action } = event;
      if (action === null || !process.isAlive) continue;
      if (process.stalledUntil > Math.max(this.time, event.at)) {
        event.at = process.stalledUntil;
        push(this.#queue, event);
        continue;
      }
      this.time = Math.max(this.time, event.at);
      this.steps += 1;
      this.current = process;
      action();
      // A turn of the real event loop: every promise that this settles is followed to its end.
      await new Promise<void>((resolve) => realTurn(resolve));
      return true;
    }
    return false;
  }
}

let present: Machine | null = null;

/** The machine on which code runs now. */
export function machine(): Machine {
  if (present === null) throw new Error("Nothing is simulated now.");
  return present;
}

/** Makes `next` the machine that `machine()` answers. */
export function switchTo(next: Machine | null): void {
  present = next;
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (!isBefore(event, heap[above]!)) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1;
    if (!isBefore(heap[below]!, last!)) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last!;
  return first;
}

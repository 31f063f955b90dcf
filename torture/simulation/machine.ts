/**
 * The simulated machine: one clock, one disk, processes, and the queue of what happens next. All that
 * happens is a step: something that falls due for one process, with all that follows from it before
 * the next. Which is next is decided by time, and by chance among those of one time; so a seed is a schedule.
 */
import type { Disk } from "./disk.ts";
import type { Random } from "./random.ts";

/** What the wall clock says when a machine is switched on, if it is right. */
export const SWITCHED_ON_AT: number = Date.UTC(2026, 0, 1);

/** How long a turn of the event loop takes, ms: who waits turn after turn does not make time stand still. */
export const TURN_MS = 0.005;

/** Taken before the simulation puts its own in their place. */
const realTurn = setImmediate;

/** What dies as a whole: a server, or a client. What it still awaited never comes. */
export class Process {
  readonly name: string;
  /** A thread or a worker dies with the process that it is of, and stands still when that does; on its own it stands still alone. */
  readonly host: Process | null;
  isAlive = true;
  /** Until this time nothing falls due for it: it stands still, or is not done yet with what it does. */
  stalledUntil = 0;

  constructor(name: string, host: Process | null = null) {
    this.name = name;
    this.host = host;
  }

  /** Whether it, and what it is of, has not died. */
  get lives(): boolean {
    return this.isAlive && (this.host === null || this.host.lives);
  }

  get busyUntil(): number {
    return this.host === null ? this.stalledUntil : Math.max(this.stalledUntil, this.host.stalledUntil);
  }
}

/** Something that falls due, unless it is called off or its process dies before. */
export interface Due {
  cancel(): void;
}

interface Event extends Due {
  at: number;
  /** Decides among those of one time. */
  order: number;
  readonly process: Process;
  action: (() => void) | null;
}

export class Machine {
  readonly random: Random;
  readonly disk: Disk;
  /** Milliseconds since the machine was switched on. Never goes backwards. */
  time = 0;
  /** What the wall clock says, less `time`: whoever sets it makes it jump. */
  wallOffset: number = SWITCHED_ON_AT;
  steps = 0;
  /** On whose behalf code runs now. */
  current: Process;
  /** Told of what a step threw, or left rejected: it would have ended its process. */
  onUncaught: (error: unknown) => void = (error) => {
    throw error;
  };
  /** Told of each step and each `note`; for people who replay a seed. */
  onNote: ((text: string) => void) | null = null;
  /** Of all steps and notes so far: what is the same in two runs of one seed. */
  digest = 0;
  readonly #queue: Event[] = []; // a binary heap
  #sequence = 1;

  constructor(random: Random, disk: Disk, first: Process) {
    this.random = random;
    this.disk = disk;
    this.current = first;
  }

  /** Lets `action` fall due for the current process in `ms`; among those of one time by chance. */
  after(ms: number, action: () => void): Due {
    return this.#push(this.current, ms, this.random.next(), action);
  }

  /** The same, behind all that fall due at that time already: as timers do. */
  afterInOrder(ms: number, action: () => void): Due {
    return this.#push(this.current, ms, this.#sequence++, action);
  }

  /** Lets `action` fall due for another process, `ms` after the present one is done with what it does now. */
  send(to: Process, ms: number, action: () => void): void {
    this.#push(to, ms, this.random.next(), action);
  }

  /** What runs now takes so long: nothing else falls due for its process before. */
  linger(ms: number): void {
    const { current, time } = this;
    current.stalledUntil = Math.max(time, current.stalledUntil) + ms;
  }

  /** Something worth telling of has happened. */
  note(text: string): void {
    this.#mix(text.length);
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
    this.onNote?.(`${this.time.toFixed(3).padStart(14)} ${this.current.name}: ${text}`);
  }

  /** More of what a note was about, where somebody reads it. */
  detail(text: () => string): void {
    this.onNote?.(`${" ".repeat(14)} ${text()}`);
  }

  /** Runs `work` on behalf of `process`: whatever it starts before it first awaits belongs to that. */
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
    while (!isOver()) {
      const event = this.#next();
      if (event === undefined) return false;
      this.time = Math.max(this.time, event.at);
      this.steps += 1;
      this.current = event.process;
      this.#mix(this.time);
      try {
        event.action!();
      } catch (error) {
        this.onUncaught(error);
      }
      // A turn of the real event loop: every promise that this settles is followed to its end.
      await new Promise<void>((resolve) => realTurn(resolve));
    }
    return true;
  }

  #push(process: Process, ms: number, order: number, action: () => void): Due {
    const at = Math.max(this.time, this.current.busyUntil) + Math.max(0, ms);
    const event: Event = {
      at,
      order,
      process,
      action,
      cancel() {
        event.action = null;
      },
    };
    push(this.#queue, event);
    return event;
  }

  #next(): Event | undefined {
    for (let event; (event = pop(this.#queue)) !== undefined;) {
      const { process, action } = event;
      if (action === null || !process.lives) continue;
      const until = process.busyUntil;
      if (until <= Math.max(this.time, event.at)) return event;
      event.at = until;
      event.order = this.#sequence++; // they come in their order, and keep it
      push(this.#queue, event);
    }
    return undefined;
  }

  #mix(value: number): void {
    this.digest = (Math.imul(this.digest ^ value, 0x85ebca6b) ^ (this.digest >>> 13) ^ (value * 1024)) >>> 0;
  }
}

let present: Machine | null = null;

/** The machine on which code runs now. */
export function machine(): Machine {
  if (present === null) throw new Error("Nothing is simulated now.");
  return present;
}

/** Whether there is one. */
export function isOn(): boolean {
  return present !== null;
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

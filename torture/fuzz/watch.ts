/**
 * Looks after the server while it is fuzzed: whether it is alive, whether one input keeps everybody waiting, whether an
 * answer is overdue, and how much memory it holds.
 */
import { exchange } from "./alone.ts";
import type { Session } from "./session.ts";

const LOOK_MS = 100;
/**
 * Processor time of the event loop's thread from a look's question to its answer. What waits beside it comes to a
 * few hundredths of a second, and time in which other programs ran does not count.
 */
const BLOCKED_MS = 1_000;
/** The same while bodies of many megabytes come, two at a time: to read one takes some tenths of a second. */
const BLOCKED_BY_LARGE_MS = 4_000;
const ASK = Buffer.from("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

export class Watch {
  readonly #session: Session;
  readonly #timer: NodeJS.Timeout;
  #asking = false;
  #overdue = false;
  /** The longest that an answer cost, ms of the event loop's processor time. */
  longestMs = 0;
  isLarge = false;

  constructor(session: Session) {
    this.#session = session;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#asking) return;
    const { server } = this.#session;
    if (!server.isAlive) {
      this.stop();
      this.#session.fault("server", `it ended:\n${server.log.tail()}`);
      return;
    }
    const overdue = this.#session.unanswered[0];
    if (overdue !== undefined && !this.#overdue) {
      this.#overdue = true;
      this.#session.fault(overdue.kind, "it is not answered", overdue.bytes);
    }
    this.#asking = true;
    const before = server.loopCpuMs ?? 0;
    const suspects = this.#session.underWay;
    const { fault } = await exchange(server.port, ASK, "GET");
    const cost = (server.loopCpuMs ?? 0) - before;
    this.#asking = false;
    this.longestMs = Math.max(this.longestMs, cost);
    if (fault !== undefined && server.isAlive) this.#session.fault("healthz", fault);
    if (cost < (this.isLarge ? BLOCKED_BY_LARGE_MS : BLOCKED_MS)) return;
    for (const one of new Set([...suspects, ...this.#session.underWay])) {
      this.#session.fault(one.kind, `perhaps this kept the event loop for ${cost} ms`, one.bytes);
    }
    this.#session.fault("healthz", `the event loop was kept for ${cost} ms`);
  }
}

import { Worker } from "node:worker_threads";
import { InferqError } from "../../core/errors.ts";
import type { DeliveryNews } from "./delivery-rows.ts";
import { GIVE_UP, VACUUM } from "./messages.ts";
import type { Answer, FromWriter, Operation, ToWriter } from "./messages.ts";

/** Waits before the file is opened again after failures with no COMMIT between them, ms; the last one repeats. */
const REOPEN_DELAYS_MS = [50, 200, 1_000];

/** Commits whose durations are kept until somebody asks: a minute of the busiest. Unasked for, they are forgotten. */
const DURATIONS_KEPT = 64 * 1024;

/** Housekeeping, which most often finds nothing to do. */
const MAY_WRITE_NOTHING: ReadonlySet<number> = new Set([VACUUM, GIVE_UP]);

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export interface Committed {
  readonly operation: Operation;
  readonly answer: Answer;
}

interface Durations {
  readonly commitMs: number[];
  readonly syncMs: number[];
}

function noDurations(): Durations {
  return { commitMs: [], syncMs: [] };
}

export interface GroupCommitHooks {
  /** A batch is durable; called before any of its callers hears of it. */
  committed(batch: readonly Committed[]): void;
  /** What is known of deliveries: when the file was opened, and with each commit. */
  deliveries(news: DeliveryNews): void;
  /** A COMMIT failed, or the writer died: nothing is written until `reopened`. */
  broken(): void;
  /** The file is open again: what is known of it must be read anew. */
  reopened(): void;
}

/**
 * The store's side of the writer thread: all operations that arrive while a commit runs go into the
 * next one. When a commit fails, every caller waiting is refused, and until the file is open again
 * all others are too.
 */
export class GroupCommit {
  readonly #path: string;
  readonly #hooks: GroupCommitHooks;
  #writer: Worker | null = null;
  #closed = false;
  #scheduled = false;
  #waiting: Waiting[] = [];
  #inFlight: Waiting[] = [];
  #durations = noDurations();
  #onHeard: (() => void)[] = [];
  #idle: (() => void) | null = null;
  #reopenTimer: NodeJS.Timeout | undefined;
  #reopening: Promise<void> = Promise.resolve();
  /** Since a COMMIT last wrote something: a file that opens well may still take nothing. */
  #failures = 0;

  constructor(path: string, hooks: GroupCommitHooks) {
    this.#path = path;
    this.#hooks = hooks;
  }

  /** Starts the writer. Answers whether the file was left without a clean stop. */
  async open(): Promise<boolean> {
    const file = import.meta.url.endsWith(".ts") ? "./writer.ts" : "./writer.js";
    const writer = new Worker(new URL(file, import.meta.url), { workerData: this.#path, name: "inferq-writer" });
    const unclean = await new Promise<boolean>((resolve, reject) => {
      writer.once("error", reject);
      writer.once("message", (message: FromWriter) => {
        if (message.type === "opened") {
          this.#hooks.deliveries(message.deliveries);
          resolve(message.unclean);
        } else reject(new Error(message.type === "refused" ? message.error : `The writer said ${message.type} first.`));
      });
    });
    this.#writer = writer;
    writer.on("message", (message: FromWriter) => this.#heard(message));
    writer.on("error", (error) => this.#broke(writer, String(error)));
    return unclean;
  }

  /** False from a failed COMMIT until the file is open for writing again. */
  get isOpen(): boolean {
    return this.#writer !== null;
  }

  /** Whether the latest COMMIT failed; a file that opens well may still take nothing. */
  get isDoubtful(): boolean {
    return this.#failures > 0;
  }

  submit(operation: Operation): Promise<Answer> {
    if (this.#closed) return Promise.reject(new InferqError("shutting_down"));
    if (this.#writer === null) return Promise.reject(new InferqError("store_unavailable"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve, reject });
      this.#schedule();
    });
  }

  /** Whether a batch is with the writer: it may be durable already, and is not heard of yet. */
  get isCommitting(): boolean {
    return this.#inFlight.length > 0;
  }

  /** Resolves when the batch that is with the writer is heard of, or refused. */
  heard(): Promise<void> {
    return new Promise((resolve) => this.#onHeard.push(resolve));
  }

  /** Durations of the commits since the last call, ms. */
  takeDurations(): Durations {
    const durations = this.#durations;
    this.#durations = noDurations();
    return durations;
  }

  /** Commits what waits, marks the file as left cleanly, and ends the writer. */
  async close(beforeClosing: () => void): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#reopenTimer);
    await this.#reopening;
    if (this.#inFlight.length + this.#waiting.length > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    beforeClosing();
    const writer = this.#writer;
    if (writer === null) return;
    this.#writer = null;
    await ended(writer, true);
  }

  /** Everything that arrives in one turn of the event loop goes into one batch. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight.length > 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#waiting.length === 0 || this.#writer === null) return;
      this.#inFlight = this.#waiting;
      this.#waiting = [];
      const operations = this.#inFlight.map(({ operation }) => operation);
      this.#writer.postMessage({ type: "batch", operations } satisfies ToWriter, []);
    });
  }

  #heard(message: FromWriter): void {
    if (message.type !== "committed") {
      this.#broke(this.#writer!, message.type === "opened" ? "The writer opened twice." : message.error);
      return;
    }
    const batch = this.#inFlight;
    if (this.#failures > 0 && batch.some(({ operation }) => !MAY_WRITE_NOTHING.has(operation[0]))) this.#failures = 0;
    this.#inFlight = [];
    this.#keepDurations(message);
    this.#hooks.committed(batch.map(({ operation }, i) => ({ operation, answer: message.answers[i]! })));
    this.#hooks.deliveries(message.deliveries);
    for (const [i, { resolve, reject }] of batch.entries()) {
      const answer = message.answers[i]!;
      if (typeof answer === "object" && "error" in answer) reject(new Error(answer.error));
      else resolve(answer);
    }
    this.#tellHeard();
    if (this.#waiting.length > 0) this.#schedule();
    else this.#idle?.();
  }

  #tellHeard(): void {
    if (this.#onHeard.length > 0) for (const tell of this.#onHeard.splice(0)) tell();
  }

  #keepDurations({ commitMs, syncMs }: { readonly commitMs: number; readonly syncMs: number }): void {
    if (this.#durations.commitMs.length === DURATIONS_KEPT) this.#durations = noDurations();
    this.#durations.commitMs.push(commitMs);
    this.#durations.syncMs.push(syncMs);
  }

  /** The writer is not asked again: a failed fsync tried twice may answer well and have lost the data. */
  #broke(writer: Worker, reason: string): void {
    if (this.#writer !== writer) return;
    this.#writer = null;
    const refused = [...this.#inFlight, ...this.#waiting];
    this.#inFlight = [];
    this.#waiting = [];
    this.#hooks.broken();
    for (const { reject } of refused) reject(new InferqError("store_unavailable", {}, { cause: new Error(reason) }));
    this.#tellHeard();
    this.#idle?.();
    this.#reopening = ended(writer, false).then(() => this.#reopenLater());
  }

  #reopenLater(): void {
    if (this.#closed) return;
    const delay = REOPEN_DELAYS_MS[Math.min(this.#failures++, REOPEN_DELAYS_MS.length - 1)]!;
    this.#reopenTimer = setTimeout(() => {
      this.#reopening = this.#reopen();
    }, delay);
  }

  async #reopen(): Promise<void> {
    try {
      await this.open();
      this.#hooks.reopened();
    } catch {
      const writer = this.#writer;
      this.#writer = null;
      if (writer !== null) await ended(writer, false);
      this.#reopenLater();
    }
  }
}

/** Tells the writer to close the file; resolves when its thread has ended. */
async function ended(writer: Worker, clean: boolean): Promise<void> {
  const exit = new Promise<void>((resolve) => writer.once("exit", () => resolve()));
  writer.on("error", () => {}); // it ends either way, and `exit` follows
  writer.postMessage({ type: "close", clean } satisfies ToWriter, []);
  await exit;
}

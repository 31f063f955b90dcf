import { afterEach, beforeEach, expect } from "vitest";
import type { Clock } from "../../core/clock.ts";
import type { Result, Submission } from "../../core/request.ts";
import type { RetryPolicy } from "../../core/transition.ts";
import type { Lease, Settlement, StoreDriver } from "../../store/store.ts";
import { manualClock } from "../clock.ts";
import type { ManualClock } from "../clock.ts";
import { submissionMaker } from "../submission.ts";

/** Opens an empty store that reads the time from `clock`, and asks `retriesOf` how often requests are tried again. */
export type StoreFactory = (
  clock: Clock,
  retriesOf?: (model: string) => RetryPolicy | undefined,
) => Promise<StoreDriver>;

/** What the store under test is told of the model `stubborn`, and of no other. */
export const STUBBORN: RetryPolicy = { crashes: 4, errors: 0, delayMs: 100_000 };

export const IMAGE: Result = {
  kind: "image",
  files: [{ key: "x/1/y.png", contentType: "image/png", size: 3, fileName: "output.png" }],
  seed: "7",
};
export const COMPLETE: Settlement = { type: "complete", result: IMAGE, inferenceMs: 40, hasFiles: true };
export const UNKNOWN = "01970000-0000-7000-8000-000000000000";

export function failed(kind: "error" | "retryable" | "crash", retryAfterMs?: number): Settlement {
  const failure = { code: "model_error", message: "The image is empty." } as const;
  return { type: "fail", kind, failure, inferenceMs: 5, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** A new store for each test of the block it is made in, and what tests ask of it most. */
export class StoreUnderTest {
  clock!: ManualClock;
  store!: StoreDriver;
  submission!: (over?: Partial<Submission>) => Submission;

  constructor(open: StoreFactory) {
    beforeEach(async () => {
      this.clock = manualClock();
      this.submission = submissionMaker(this.clock);
      this.store = await open(this.clock, (model) => (model === "stubborn" ? STUBBORN : undefined));
    });
    afterEach(async () => this.store[Symbol.asyncDispose]());
  }

  /** Enqueues a submission; answers its id. */
  async enqueue(over: Partial<Submission> = {}): Promise<string> {
    const asked = this.submission(over);
    expect(await this.store.enqueue(asked)).toEqual({ ok: true });
    return asked.id;
  }

  lease(most = 100, model = "mock"): Promise<Lease[]> {
    return this.store.lease({ worker: "w1", capacity: new Map([[model, most]]), leaseMs: 30_000, durable: true });
  }

  async leaseOne(): Promise<Lease> {
    const [first, ...more] = await this.lease(1);
    expect(more).toEqual([]);
    return first!;
  }
}

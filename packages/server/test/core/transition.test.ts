import { describe, expect, it } from "vitest";
import type { RequestState, Status } from "../../src/core/request.ts";
import { DEFAULT_RETRIES, transition } from "../../src/core/transition.ts";
import type { FailKind, RequestEvent, RetryPolicy, Transition } from "../../src/core/transition.ts";

const NOW = 1_000_000;
const failure = { code: "model_error", message: "No." } as const;
const result = { kind: "text", text: "Yes.", reasoning: null } as const;

function state(status: Status, over: Partial<RequestState> = {}): RequestState {
  const running = status === "PROCESSING";
  const finished = status === "COMPLETED" || status === "FAILED";
  return {
    status,
    attempts: finished ? 1 : 0,
    leases: status === "QUEUED" ? 0 : 1,
    crashes: 0,
    notBefore: NOW - 10,
    lease: running ? { token: "mine", worker: "w1", deadline: NOW + 5 } : null,
    worker: status === "QUEUED" ? null : "w1",
    startedAt: status === "QUEUED" ? null : NOW - 5,
    finishedAt: finished ? NOW - 1 : null,
    inferenceMs: null,
    result: status === "COMPLETED" ? result : null,
    failure: status === "FAILED" ? failure : null,
    deadLetter: null,
    ...over,
  };
}

function fail(kind: FailKind, token = "mine", retryAfterMs?: number, retries?: RetryPolicy): RequestEvent {
  return {
    type: "fail",
    token,
    kind,
    failure,
    inferenceMs: 7,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(retries === undefined ? {} : { retries }),
  };
}

const lease: RequestEvent = { type: "lease", token: "new", worker: "w2", deadline: NOW + 30 };
const cancel: RequestEvent = { type: "cancel", failure: { code: "cancelled", message: "Cancelled." } };
const startTimeout: RequestEvent = { type: "startTimeout", failure: { code: "start_timeout", message: "Late." } };

const events: Record<string, RequestEvent> = {
  lease,
  heartbeat: { type: "heartbeat", token: "mine", deadline: NOW + 60 },
  "heartbeat, late": { type: "heartbeat", token: "theirs", deadline: NOW + 60 },
  complete: { type: "complete", token: "mine", result, inferenceMs: 7 },
  "complete, late": { type: "complete", token: "theirs", result, inferenceMs: 7 },
  "fail, error": fail("error"),
  "fail, retryable": fail("retryable"),
  "fail, crash": fail("crash"),
  "fail, late": fail("crash", "theirs"),
  release: { type: "release", token: "mine" },
  "release, late": { type: "release", token: "theirs" },
  lost: { type: "lost" },
  cancel,
  startTimeout,
};

/** Where each event leads from QUEUED and from PROCESSING: a status or a refusal. From the others nothing leads out. */
const table: Record<string, readonly [fromQueued: string, fromProcessing: string]> = {
  lease: ["PROCESSING", "fenced"],
  heartbeat: ["fenced", "PROCESSING"],
  "heartbeat, late": ["fenced", "fenced"],
  complete: ["fenced", "COMPLETED"],
  "complete, late": ["fenced", "fenced"],
  "fail, error": ["fenced", "FAILED"],
  "fail, retryable": ["fenced", "QUEUED"],
  "fail, crash": ["fenced", "QUEUED"],
  "fail, late": ["fenced", "fenced"],
  release: ["fenced", "QUEUED"],
  "release, late": ["fenced", "fenced"],
  lost: ["fenced", "QUEUED"],
  cancel: ["FAILED", "FAILED"],
  startTimeout: ["FAILED", "fenced"],
};

function outcome(next: Transition): string {
  return next.ok ? next.state.status : next.refusal;
}

/** The state after `event`, which must be allowed. */
function after(from: RequestState, event: RequestEvent): RequestState {
  const next = transition(from, event, NOW);
  if (!next.ok) throw new Error(`refused: ${next.refusal}`);
  return next.state;
}

describe("a request's state", () => {
  describe.each(Object.entries(events))("on %s", (name, event) => {
    it("goes where the table says, or nowhere", () => {
      expect(outcome(transition(state("QUEUED"), event, NOW))).toBe(table[name]![0]);
      expect(outcome(transition(state("PROCESSING"), event, NOW))).toBe(table[name]![1]);
      expect(outcome(transition(state("COMPLETED"), event, NOW))).toBe("finished");
      expect(outcome(transition(state("FAILED"), event, NOW))).toBe("finished");
    });

    it("holds a lease exactly while PROCESSING, and an end exactly when finished", () => {
      for (const from of [state("QUEUED"), state("PROCESSING")]) {
        const next = transition(from, event, NOW);
        if (!next.ok) continue;
        const { status, lease, finishedAt, result, failure } = next.state;
        expect(lease !== null).toBe(status === "PROCESSING");
        expect(finishedAt).toBe(status === "COMPLETED" || status === "FAILED" ? NOW : null);
        expect(result !== null).toBe(status === "COMPLETED");
        expect(failure !== null).toBe(status === "FAILED");
      }
    });
  });

  it("is not changed in place", () => {
    const from = Object.freeze(
      state("PROCESSING", { lease: Object.freeze({ token: "mine", worker: "w1", deadline: 1 }) }),
    );
    for (const event of Object.values(events)) transition(from, event, NOW);
    expect(from.status).toBe("PROCESSING");
  });

  it("is leased from notBefore on, not earlier", () => {
    expect(outcome(transition(state("QUEUED", { notBefore: NOW + 1 }), lease, NOW))).toBe("waiting");
    expect(after(state("QUEUED", { notBefore: NOW }), lease)).toMatchObject({
      leases: 1,
      startedAt: NOW,
      lease: { token: "new", worker: "w2", deadline: NOW + 30 },
    });
  });

  it("spends an attempt on every outcome, retry and crash, and none on a release", () => {
    const from = state("PROCESSING");
    for (const name of ["complete", "fail, error", "fail, retryable", "fail, crash", "lost"]) {
      expect(after(from, events[name]!).attempts).toBe(1);
    }
    expect(after(from, events["release"]!)).toMatchObject({ attempts: 0, leases: 1, notBefore: NOW });
  });

  it("counts crashes and lost leases apart from a model's own errors", () => {
    expect(after(state("PROCESSING"), fail("crash")).crashes).toBe(1);
    expect(after(state("PROCESSING"), { type: "lost" }).crashes).toBe(1);
    expect(after(state("PROCESSING"), fail("retryable")).crashes).toBe(0);
    const both = state("PROCESSING", { attempts: 2, crashes: 2 });
    expect(after(both, fail("retryable"))).toMatchObject({ status: "QUEUED", attempts: 3, crashes: 2 });
  });

  it.each(["crash", "retryable"] as const)(
    "waits longer before each try after a %s, and fails when the tries are used up",
    (kind) => {
      const delays = [1_000, 5_000];
      for (const [spent, delay] of delays.entries()) {
        const from = state("PROCESSING", { attempts: spent, crashes: kind === "crash" ? spent : 0 });
        expect(after(from, fail(kind))).toMatchObject({ status: "QUEUED", notBefore: NOW + delay });
      }
      const last = state("PROCESSING", { attempts: delays.length, crashes: kind === "crash" ? delays.length : 0 });
      expect(after(last, fail(kind))).toMatchObject({ status: "FAILED", failure, inferenceMs: 7, deadLetter: "open" });
    },
  );

  it("is tried as often as its model's policy says, each kind by its own number", () => {
    const retries = { crashes: 1, errors: 0, delayMs: 20 };
    expect(after(state("PROCESSING"), fail("crash", "mine", undefined, retries))).toMatchObject({
      status: "QUEUED",
      notBefore: NOW + 20,
    });
    expect(after(state("PROCESSING"), { type: "lost", retries })).toMatchObject({ status: "QUEUED" });
    const crashed = state("PROCESSING", { attempts: 1, crashes: 1 });
    for (const event of [{ type: "lost", retries } as const, fail("retryable", "mine", 5, retries)]) {
      expect(after(crashed, event)).toMatchObject({ status: "FAILED", deadLetter: "open" });
    }
  });

  it("waits five times as long before each further try, and never longer than five minutes", () => {
    const retries = { crashes: 100, errors: 100, delayMs: 1_000 };
    const waits = [0, 1, 2, 3, 4, 99].map((crashes) => {
      const from = state("PROCESSING", { attempts: crashes, crashes });
      return after(from, fail("crash", "mine", undefined, retries)).notBefore - NOW;
    });
    expect(waits).toEqual([1_000, 5_000, 25_000, 125_000, 300_000, 300_000]);
    const atOnce = { ...DEFAULT_RETRIES, delayMs: 0 };
    expect(after(state("PROCESSING"), fail("crash", "mine", undefined, atOnce)).notBefore).toBe(NOW);
  });

  it("is a dead letter only where its attempts are used up", () => {
    expect(after(state("PROCESSING"), fail("error")).deadLetter).toBeNull();
    expect(after(state("PROCESSING"), cancel).deadLetter).toBeNull();
    expect(after(state("QUEUED"), startTimeout).deadLetter).toBeNull();
    expect(after(state("PROCESSING"), fail("crash")).deadLetter).toBeNull();
  });

  it("waits as long as the model asked", () => {
    expect(after(state("PROCESSING"), fail("retryable", "mine", 60_000)).notBefore).toBe(NOW + 60_000);
  });

  it("times out only before its first lease", () => {
    expect(outcome(transition(state("QUEUED", { leases: 1 }), startTimeout, NOW))).toBe("fenced");
  });
});

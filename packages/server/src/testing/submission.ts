import type { Clock } from "../core/clock.ts";
import { idMaker } from "../core/ids.ts";
import type { Submission } from "../core/request.ts";

/** Makes submissions of "mock" by "alice" that live for an hour; `over` changes what a test is about. */
export function submissionMaker(clock: Clock): (over?: Partial<Submission>) => Submission {
  const nextId = idMaker(clock);
  return (over = {}) => {
    const now = clock.now();
    return {
      id: nextId(),
      model: "mock",
      owner: "alice",
      key: "alice",
      input: { json: '{"prompt":"a red rose"}' },
      hasFiles: false,
      priority: 0,
      createdAt: now,
      notBefore: now,
      startDeadline: null,
      runTimeoutMs: null,
      expiresAt: now + 3_600_000,
      keepMs: null,
      idempotencyKey: null,
      idempotencyDigest: null,
      retryOf: null,
      webhook: null,
      publicBase: null,
      ...over,
    };
  };
}

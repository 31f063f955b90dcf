/**
 * What clients were told, each with the place in the log that had been reached when they had been told it: whoever
 * loses the power later must still keep it. What was asked for has its place too, taken before it was sent: whoever
 * loses the power before it must know nothing of it.
 */
import type { Work } from "./work.ts";

/** A place in the log that is never reached: not yet, or not at all. */
export const NEVER = Infinity;

export interface Outcome {
  readonly at: number;
  readonly status: "COMPLETED" | "FAILED";
  /** `X-Error-Code` where it failed. */
  readonly code: string | null;
  /** What `GET /v2/requests/{id}` answered. */
  readonly body: string;
}

/** What a webhook told of an outcome. */
export interface Hook {
  readonly at: number;
  readonly id: string;
  readonly status: "COMPLETED" | "FAILED";
  readonly code: string | null;
}

export interface KnownRequest {
  readonly id: string;
  readonly work: Work;
  readonly hasPicture: boolean;
  /** Where its outcome is told to a receiver. */
  readonly hasWebhook: boolean;
  /** With which a submit of `body` to `path` is answered with this very request. */
  readonly idempotencyKey: string | null;
  readonly path: string;
  readonly body: string;
  readonly answeredAt: number;
  cancelAskedAt: number;
  deleteAskedAt: number;
  deletedAt: number;
  outcome: Outcome | null;
  /** How often the power was lost since. */
  losses: number;
}

interface KnownUpload {
  readonly at: number;
  readonly path: string;
  readonly bytes: Buffer;
}

export interface KnownKey {
  readonly at: number;
  readonly name: string;
  readonly secret: string;
  revokeAskedAt: number;
  revokedAt: number;
}

/** A webhook secret that a rotation answered. */
interface KnownSecret {
  readonly askedAt: number;
  readonly at: number;
  readonly secret: string;
}

export class Known {
  readonly requests = new Map<string, KnownRequest>();
  /** Also of requests whose submit was not answered. */
  readonly hooks: Hook[] = [];
  readonly uploads: KnownUpload[] = [];
  readonly keys: KnownKey[] = [];
  readonly secrets: KnownSecret[] = [];

  /** What was known when the log had come to `cut`, as known from the start: for the life that goes on after a power loss there. */
  before(cut: number): Known {
    const known = new Known();
    const place = (at: number): number => (at <= cut ? 0 : NEVER);
    for (const request of this.requests.values()) {
      if (request.answeredAt > cut) continue;
      const { outcome } = request;
      known.requests.set(request.id, {
        ...request,
        answeredAt: 0,
        cancelAskedAt: place(request.cancelAskedAt),
        deleteAskedAt: place(request.deleteAskedAt),
        deletedAt: place(request.deletedAt),
        outcome: outcome !== null && outcome.at <= cut ? { ...outcome, at: 0 } : null,
        losses: request.losses + 1,
      });
    }
    known.hooks.push(...this.hooks.filter(({ at }) => at <= cut).map((hook) => ({ ...hook, at: 0 })));
    known.uploads.push(...this.uploads.filter(({ at }) => at <= cut).map((upload) => ({ ...upload, at: 0 })));
    for (const key of this.keys) {
      if (key.at > cut) continue;
      known.keys.push({ ...key, at: 0, revokeAskedAt: place(key.revokeAskedAt), revokedAt: place(key.revokedAt) });
    }
    for (const secret of this.secrets) {
      if (secret.askedAt > cut) continue;
      known.secrets.push({ ...secret, askedAt: 0, at: place(secret.at) });
    }
    return known;
  }

  /** Places right after which something is known: where a loss shows best what was told too early. */
  places(): number[] {
    const places: number[] = [];
    for (const { answeredAt, deletedAt, outcome } of this.requests.values()) {
      places.push(answeredAt, deletedAt, outcome?.at ?? NEVER);
    }
    places.push(...[...this.hooks, ...this.uploads, ...this.keys, ...this.secrets].map(({ at }) => at));
    places.push(...this.keys.map(({ revokedAt }) => revokedAt));
    return places.filter((at) => at !== 0 && at !== NEVER);
  }
}

import type { ErrorCode } from "./errors.ts";

/** All the states there are, inside and on the wire (contract, "Status Values"). */
export type Status = "QUEUED" | "PROCESSING" | "COMPLETED" | "FAILED";

/** Whether there is an outcome, which nothing leads out of. */
export function isFinished(status: Status): boolean {
  return status === "COMPLETED" || status === "FAILED";
}

/** What kind of output a model makes; it decides the shape of the result (contract, "Response Formats by Modality"). */
export type Modality = "image" | "video" | "audio" | "text";

/** Canonical parsed input as JSON text, or the blob key of a file that holds this text when it is large. */
export type StoredInput = { readonly json: string } | { readonly key: string };

/** Lower ones wait for higher ones, but not for ever (see `RequestStore.lease`). */
export type Priority = -1 | 0 | 1;

/** How a client wants to be told of its request's outcome, by a POST to a server of its own. */
export interface Webhook {
  /** Absolute http or https URL. */
  readonly url: string;
  /** Of which outcomes it is told; at least one. */
  readonly events: readonly WebhookEvent[];
  /** `full`: with the result, as the client would fetch it. `thin`: with where to fetch it. */
  readonly body: "full" | "thin";
}

/** The outcomes there are: `failed` is also that of a request that was cancelled or expired without one. */
export type WebhookEvent = "completed" | "failed";

/** What a client asked for. Written once, at enqueue; of it only `expiresAt` may come nearer. */
export interface Submission {
  /** UUIDv7. */
  readonly id: string;
  readonly model: string;
  /** Whose request it is; an owner is not its key, so that a key can be rotated. */
  readonly owner: string;
  /** Name of the key that it came with: limits and fair sharing go by it. */
  readonly key: string;
  readonly input: StoredInput;
  /** Whether files lie under `<id>/0/` in the blob store. */
  readonly hasFiles: boolean;
  readonly priority: Priority;
  /** Milliseconds since the epoch, as all times here. */
  readonly createdAt: number;
  /** Not leased before this time. */
  readonly notBefore: number;
  /** Fails with `start_timeout` if no worker has leased it by then. */
  readonly startDeadline: number | null;
  /** Longest run, ms, where the client asked for less than the model's own limit. */
  readonly runTimeoutMs: number | null;
  /** From then on the request does not exist (contract, "Result Expiry"). */
  readonly expiresAt: number;
  /** Where the result is kept until it has been read: how long it lives from then on, ms. */
  readonly keepMs: number | null;
  /** One live request of an owner has it at most. */
  readonly idempotencyKey: string | null;
  /** Digest of model, canonical input and options, compared when the key comes again; there whenever the key is. */
  readonly idempotencyDigest: string | null;
  /** The request whose input this one runs again. */
  readonly retryOf: string | null;
  /** Null: nobody is told. */
  readonly webhook: Webhook | null;
  /** Origin under which the submitter reached the server, for URLs in webhooks. */
  readonly publicBase: string | null;
}

/** A file in the blob store. Rows hold keys; URLs are rendered when answering. */
export interface Artifact {
  readonly key: string;
  readonly contentType: string;
  /** Bytes. */
  readonly size: number;
  /** Name to offer to a person, such as `output.mp4`. */
  readonly fileName: string;
}

/** Output of a completed request; carries its own kind, so that the wire shape needs nothing else. */
export type Result =
  | { readonly kind: "image"; readonly files: readonly Artifact[]; readonly seed?: string; readonly prompt?: string }
  | { readonly kind: "video" | "audio"; readonly file: Artifact }
  | {
      readonly kind: "text";
      /** The text, or the file that holds it when it is larger than 64 KB. */
      readonly text: string | Artifact;
      readonly reasoning: string | null;
    };

/** Why a request failed: a code of the error table and a sentence for people. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A worker's exclusive right to a request until `deadline`. */
export interface LeaseState {
  /** 128 random bits as hex, new for every lease. */
  readonly token: string;
  readonly worker: string;
  readonly deadline: number;
}

/** The part of a request that changes; only `transition` makes a new one. */
export interface RequestState {
  readonly status: Status;
  /** Attempts spent: leases that ended in an outcome, a retry or a crash. A release spends none. */
  readonly attempts: number;
  /** All leases; the number of the latest is the attempt's number in file names. */
  readonly leases: number;
  /** Attempts lost to a crash of the runner or to a worker that went silent. */
  readonly crashes: number;
  readonly notBefore: number;
  readonly lease: LeaseState | null;
  /** Who has, or had, the latest lease. */
  readonly worker: string | null;
  /** When the latest lease began. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** How long the model ran, as the runner measured it; null when it never ran. */
  readonly inferenceMs: number | null;
  readonly result: Result | null;
  readonly failure: Failure | null;
  /** Null: it is none. */
  readonly deadLetter: DeadLetterState | null;
}

/** What became of a request that used up its attempts: nothing yet, or a retry has run it once more. */
export type DeadLetterState = "open" | "replayed";

/** One lease of a request that ended without an outcome: it went back to the queue. */
export interface PastAttempt {
  /** The lease's number, from 1. */
  readonly attempt: number;
  readonly worker: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** Why it ended; null: it was given back unspent. */
  readonly failure: Failure | null;
}

/** One inference a client asked for. */
export interface Request extends Submission, RequestState {}

/** The state of a request that has just been accepted. */
export function queuedState(submission: Submission): RequestState {
  return {
    status: "QUEUED",
    attempts: 0,
    leases: 0,
    crashes: 0,
    notBefore: submission.notBefore,
    lease: null,
    worker: null,
    startedAt: null,
    finishedAt: null,
    inferenceMs: null,
    result: null,
    failure: null,
    deadLetter: null,
  };
}

/** What the parts of a run have in common, and what a client knows of each request beside what it was told. */
import type { Ledger } from "../lib/ledger.ts";
import type { Lives } from "./lives.ts";
import type { Receiver } from "./receiver.ts";

/** What a model is to make of a request, and what may become of it. */
export interface Facts {
  /** Of its input: a retry has that of the request whose input it runs again. */
  readonly nonce: string;
  readonly model: string;
  /** `fails`: its model always throws; `poison`: it kills its process whenever it runs. */
  readonly fate: "completes" | "fails" | "again" | "poison";
  readonly size: number;
  /** Digest of what the model reads of its input, `-` where that is nothing. */
  readonly material: string;
  /** How many pictures; 0: a text. */
  readonly pictures: number;
  readonly webhook: boolean;
  /** It must have begun in time, or fails. */
  readonly startTimeout: boolean;
  readonly idempotencyKey: string | null;
  /** We asked for it to be cancelled. */
  cancelled: boolean;
}

export interface World {
  readonly seed: number;
  readonly ledger: Ledger<Facts>;
  readonly lives: Lives;
  /** One in trouble, one that takes all. */
  readonly receivers: readonly [Receiver, Receiver];
  /** Submits sent whose answers nobody got, and that were not sent again: each may have made a request that nobody knows. */
  lost: number;
  /** Answers that came, of any kind. */
  answers: number;
  /** Idempotency key → the request that it made. */
  readonly keys: Map<string, string>;
  /** Models of which as many requests are unfinished as may be: clients give them no more. */
  readonly crowded: Set<string>;
  /** No more is submitted. */
  over: boolean;
}

/** Stands for every origin under which a server was reached. */
export const ORIGIN = "http://torture.invalid";

/** The last step of a submit and of a retry: the input's files, then the row; or the request that has the idempotency key already. */
import type { BlobStore } from "../blob/blob-store.ts";
import { newBlobKey } from "../blob/key.ts";
import type { StoredInput, Submission } from "../core/request.ts";
import type { ApiKey } from "../store/keys.ts";
import type { GatewayContext } from "./context.ts";
import { earlier, replayOf } from "./idempotency.ts";
import { type SubmitOptions, termsOf } from "./submit-options.ts";

/** Larger inputs are files: the queue holds no photos. */
const MAX_INPUT_IN_QUEUE = 64 * 1024;

/** What is to be queued, its input not yet written. */
export interface Unqueued {
  /** Tells the life that the options ask for. */
  readonly id: string;
  readonly caller: ApiKey;
  /** Its own name. */
  readonly model: string;
  readonly options: SubmitOptions;
  /** There whenever the options have an idempotency key. */
  readonly idempotencyDigest: string | null;
  readonly retryOf: string | null;
  /** Origin under which the caller reached the server. */
  readonly base: string;
  /** Whether `write` costs the disk so much that the idempotency key is looked up before. */
  readonly looksFirst: boolean;
  /** Writes the files of the input under `<id>/0/`. What it leaves there when it rejects is deleted. */
  readonly write: () => Promise<WrittenInput>;
}

export interface WrittenInput {
  readonly input: StoredInput;
  /** Whether files were written. */
  readonly hasFiles: boolean;
}

/** `isReplay`: `id` is that of the request which the idempotency key had already, and nothing was added. */
export interface Queued {
  readonly id: string;
  readonly isReplay: boolean;
}

export type Enqueue = (unqueued: Unqueued) => Promise<Queued>;

/** Makes the step. It throws `idempotency_conflict`, `store_unavailable`, and what `write` throws; then nothing was queued. */
export function enqueuer(context: Pick<GatewayContext, "blobs" | "store" | "clock" | "settings" | "logger">): Enqueue {
  const { blobs, store, clock, settings, logger } = context;

  return async ({ id, caller, model, options, idempotencyDigest, retryOf, base, looksFirst, write }) => {
    const { owner } = caller;
    const { idempotencyKey } = options;
    const about = { request: id, owner, key: caller.name, model, ...(retryOf !== null && { retryOf }) };
    const replay = (first: Parameters<typeof replayOf>[0]): Queued => {
      const firstId = replayOf(first, idempotencyDigest);
      logger.info({ ...about, request: firstId }, "request replayed");
      return { id: firstId, isReplay: true };
    };
    const tellLeft = (err: unknown): void => logger.warn({ ...about, err }, "files were left behind");
    const forget = (): Promise<void> => blobs.deletePrefix(`${id}/`).catch(tellLeft);

    try {
      if (looksFirst && idempotencyKey !== null) {
        const first = await earlier(store, owner, idempotencyKey);
        if (!first.ok) return replay(first);
      }
      const { input, hasFiles } = await write();
      const now = clock.now();
      const submission: Submission = {
        id,
        model,
        owner,
        input,
        hasFiles,
        createdAt: now,
        notBefore: now,
        ...termsOf(options, settings, id, now),
        idempotencyDigest,
        retryOf,
        webhook: null,
        publicBase: base,
      };
      const answer = await store.enqueue(submission);
      if (!answer.ok) {
        const again = replay(answer);
        if (hasFiles) await forget();
        return again;
      }
      logger.info(about, "request accepted");
      return { id, isReplay: false };
    } catch (error) {
      await forget();
      throw error;
    }
  };
}

/** The input as the row is to have it: itself, or a file that holds it where it is large. */
export async function storeInput(blobs: BlobStore, id: string, json: string): Promise<StoredInput> {
  if (json.length <= MAX_INPUT_IN_QUEUE) return { json };
  const key = newBlobKey(id, 0, "json");
  await blobs.put(key, { bytes: Buffer.from(json) });
  return { key };
}

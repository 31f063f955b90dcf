/** The last step of a submit and of a retry: the input's files, then the row; or the request that has the idempotency key already. */
import type { Logger } from "pino";
import type { BlobStore } from "../blob/blob-store.ts";
import { newBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { NewId } from "../core/ids.ts";
import type { StoredInput, Submission } from "../core/request.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import type { ApiKey } from "../store/keys.ts";
import type { GatewayContext } from "./context.ts";
import { earlier, replayOf } from "./idempotency.ts";
import { type SubmitOptions, timesOf } from "./submit-options.ts";

/** Larger inputs are files: the queue holds no photos. */
const MAX_INPUT_IN_QUEUE = 64 * 1024;

/** What is to be queued, its input not yet written. */
export interface Unqueued {
  readonly id: NewId;
  readonly caller: ApiKey;
  readonly model: CatalogEntry;
  readonly options: SubmitOptions;
  /** There whenever the options have an idempotency key. */
  readonly idempotencyDigest: string | null;
  readonly retryOf: string | null;
  /** Origin under which the caller reached the server. */
  readonly base: string;
  /** Whether `write` costs the disk so much that the idempotency key is looked up before. */
  readonly looksFirst: boolean;
  /** Writes the files of the input under `<id>/0/`. What it leaves there when it rejects is deleted. At once where there are none: most submits wait for the enqueue alone. */
  readonly write: () => WrittenInput | Promise<WrittenInput>;
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

type Context = Pick<GatewayContext, "blobs" | "store" | "clock" | "settings" | "logger" | "limits">;

/** Makes the step. It throws `idempotency_conflict`, `store_unavailable`, the limits' errors, and what `write` throws; then nothing was queued. */
export function enqueuer(context: Context): Enqueue {
  const { store, clock, settings, logger, limits } = context;

  return async (unqueued) => {
    const { id: newId, caller, model, options, idempotencyDigest, retryOf, base, looksFirst, write } = unqueued;
    const { id } = newId;
    const { owner } = caller;
    const counting = limits.counting(caller, model);
    if (counting !== undefined) await counting.catch(unavailable);
    // A replay adds nothing: no limit keeps it out.
    if (options.idempotencyKey !== null && (looksFirst || limits.fault(caller, model) !== undefined)) {
      const first = await earlier(store, owner, options.idempotencyKey);
      if (!first.ok) return replay(first, unqueued, logger);
    }
    limits.enter(caller, model);
    let accepted = false;
    try {
      const written = write();
      const { input, hasFiles } = written instanceof Promise ? await written : written;
      const now = clock.now();
      const { startDeadline, expiresAt, keepMs } = timesOf(options, settings, newId, now);
      const submission: Submission = {
        id,
        model: model.definition.name,
        owner,
        key: caller.name,
        input,
        hasFiles,
        priority: options.priority,
        createdAt: now,
        notBefore: now,
        startDeadline,
        runTimeoutMs: options.runTimeoutMs,
        expiresAt,
        keepMs,
        idempotencyKey: options.idempotencyKey,
        idempotencyDigest,
        retryOf,
        webhook: options.webhook,
        publicBase: base,
      };
      const answer = await store.enqueue(submission);
      if (answer.ok) {
        accepted = true;
        logger.info(about(unqueued, id), "request accepted");
        return { id, isReplay: false };
      }
      const again = replay(answer, unqueued, logger);
      if (hasFiles) await forget(unqueued, context);
      return again;
    } catch (error) {
      await forget(unqueued, context);
      throw error;
    } finally {
      limits.leave(caller, model, accepted ? id : null);
    }
  };
}

function unavailable(cause: unknown): never {
  throw new InferqError("store_unavailable", {}, { cause });
}

function replay(first: Parameters<typeof replayOf>[0], unqueued: Unqueued, logger: Logger): Queued {
  const id = replayOf(first, unqueued.idempotencyDigest);
  logger.info(about(unqueued, id), "request replayed");
  return { id, isReplay: true };
}

/** Deletes what was written for a request that was not queued. */
async function forget(unqueued: Unqueued, { blobs, logger }: Context): Promise<void> {
  const { id } = unqueued.id;
  await blobs.deletePrefix(`${id}/`).catch((err: unknown) => {
    logger.warn({ ...about(unqueued, id), err }, "files were left behind");
  });
}

function about({ caller, model, retryOf }: Unqueued, request: string): object {
  const fields = { request, owner: caller.owner, key: caller.name, model: model.definition.name };
  return retryOf === null ? fields : { ...fields, retryOf };
}

/** The input as the row is to have it: itself, or a file that holds it where it is large. */
export function storeInput(
  blobs: BlobStore,
  id: string,
  json: string,
  hasFiles: boolean,
): WrittenInput | Promise<WrittenInput> {
  if (json.length <= MAX_INPUT_IN_QUEUE) return { input: { json }, hasFiles };
  const key = newBlobKey(id, 0, "json");
  return blobs.put(key, { bytes: Buffer.from(json) }).then(() => ({ input: { key }, hasFiles: true }));
}

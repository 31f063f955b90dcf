/** What a retry and a replay have in common: the input of a finished request once more, as a new request of its own. */
import type { BlobStore } from "../blob/blob-store.ts";
import { extensionOf } from "../blob/content-type.ts";
import { newBlobKey } from "../blob/key.ts";
import { inputJson } from "../blob/stored-input.ts";
import { InferqError } from "../core/errors.ts";
import { idTime } from "../core/ids.ts";
import type { Request, Webhook } from "../core/request.ts";
import { mapMedia, mediaFields, type StoredMedia } from "../media/media.ts";
import type { JsonSchema } from "../model/model.ts";
import type { AllowPrivate } from "../net/address.ts";
import type { ApiKey } from "../store/keys.ts";
import { checkRunnable } from "./accept.ts";
import { checkMayUse } from "./auth.ts";
import type { GatewayContext } from "./context.ts";
import { type Enqueue, type Queued, storeInput, type WrittenInput } from "./enqueue.ts";
import { type Lives, longestLifeMs, type SubmitOptions, toldLife } from "./submit-options.ts";
import { judgeTarget } from "./webhook-wish.ts";

export interface RerunWish {
  /** Finished; of the same owner as `caller`. */
  readonly old: Request;
  /** Whose request the new one is. */
  readonly caller: ApiKey;
  readonly idempotencyKey: string | null;
  /** There whenever the key is. */
  readonly idempotencyDigest: string | null;
  /** Origin for the URLs in its webhook. */
  readonly base: string;
  /** The error where `old` has been deleted or has expired meanwhile. */
  readonly gone: () => InferqError;
}

/** `warning`: of the old request's options one cannot be kept, a sentence without its stop. */
export type Rerun = (wish: RerunWish) => Promise<Queued & { readonly warning?: string }>;

/** Throws `unknown_model`, `model_not_allowed`, `model_unavailable`, what `gone` makes, and what `Enqueue` says. */
export function rerunner(context: GatewayContext, enqueue: Enqueue): Rerun {
  const { blobs, models, settings, ids } = context;

  return async ({ old, caller, idempotencyKey, idempotencyDigest, base, gone }) => {
    const model = models.find(old.model);
    if (model === undefined) throw new InferqError("unknown_model", { model: old.model });
    checkMayUse(caller, model, old.model);
    checkRunnable(model, old.model);
    const { webhook, refusal } = webhookOf(old, settings.allowPrivateWebhooks);
    const options = { ...optionsOf(old, settings), webhook, idempotencyKey };
    const id = ids.make(caller.owner, toldLife(options, settings));
    const queued = await enqueue({
      id,
      caller,
      model,
      options,
      idempotencyDigest,
      retryOf: old.id,
      base,
      looksFirst: false, // it has been looked up
      write: () => copyInput(old, id.id, model.definition.input, blobs, gone),
    });
    return refusal === undefined ? queued : { ...queued, warning: `Its outcome will not be sent: ${refusal}` };
  };
}

/** What was asked for when `old` was submitted, within what is allowed now. */
function optionsOf(old: Request, lives: Lives): Omit<SubmitOptions, "idempotencyKey" | "webhook"> {
  const { id, priority, createdAt, startDeadline, runTimeoutMs, expiresAt, keepMs } = old;
  return {
    priority,
    startTimeoutMs: startDeadline === null ? null : startDeadline - createdAt,
    runTimeoutMs,
    ttlMs: Math.min(keepMs ?? expiresAt - idTime(id), longestLifeMs(lives)),
    keepUntilRead: keepMs !== null,
  };
}

/** That of `old`, unless nothing may be sent to its URL any more. */
function webhookOf(
  { webhook }: Request,
  allowPrivate: AllowPrivate,
): { readonly webhook: Webhook | null; readonly refusal?: string } {
  const refusal = webhook === null ? undefined : judgeTarget(new URL(webhook.url), allowPrivate);
  return refusal === undefined ? { webhook } : { webhook: null, refusal };
}

/** The stored input of `old` with copies of its files, so that the new request needs the old one no more. Throws `gone` where `old` has been deleted or has expired meanwhile. */
async function copyInput(
  old: Request,
  id: string,
  schema: JsonSchema,
  blobs: BlobStore,
  gone: () => InferqError,
): Promise<WrittenInput> {
  const { input, hasFiles } = old;
  if ("json" in input && !hasFiles) return { input, hasFiles };
  const copy = async (from: string, extension: string): Promise<string> => {
    const key = newBlobKey(id, 0, extension);
    try {
      await blobs.put(key, { key: from });
    } catch (cause) {
      if ((await blobs.head(from)) === undefined) throw gone();
      throw new InferqError("store_unavailable", {}, { cause });
    }
    return key;
  };

  if ("key" in input && mediaFields(schema).size === 0)
    return { input: { key: await copy(input.key, "json") }, hasFiles };
  const json = await inputJson(input, blobs);
  if (json === undefined) throw gone();
  const values = JSON.parse(json) as Record<string, unknown>;
  const copied = await mapMedia(values, schema, async (value) => {
    const medium = (value as Partial<StoredMedia> | null)?.$media;
    if (medium === undefined || "url" in medium) return value;
    return {
      $media: { ...medium, key: await copy(medium.key, extensionOf(medium.contentType)) },
    } satisfies StoredMedia;
  });
  return await storeInput(blobs, id, JSON.stringify(copied), hasFiles);
}

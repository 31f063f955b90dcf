/** `POST /v2/requests/{id}/retry`: the input of a finished request once more, as a new request of its own. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
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
import { retryBody } from "../wire/own.ts";
import { checkRunnable } from "./accept.ts";
import { checkMayUse } from "./auth.ts";
import { type GatewayContext, sendConflict, sendJson } from "./context.ts";
import { type Enqueue, type Queued, storeInput, type WrittenInput } from "./enqueue.ts";
import { drainUnread } from "./errors.ts";
import { earlier, replayOf, retryDigest } from "./idempotency.ts";
import { linksOf } from "./links.ts";
import { type IdPath, notFound, ownRequest } from "./own-request.ts";
import { keyOf, type Lives, longestLifeMs, type SubmitOptions, toldLife } from "./submit-options.ts";
import { judgeTarget } from "./webhook-wish.ts";

export function retryRoute(
  app: FastifyInstance,
  context: GatewayContext,
  enqueue: Enqueue,
  closing: () => boolean,
): void {
  const { store, blobs, models, settings, ids, eventTokens, limits } = context;

  const retry = async (request: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    if (closing()) throw new InferqError("shutting_down");
    const { headers } = request;
    const { id: oldId } = request.params;
    const caller = context.authenticate(request.raw, "submit");
    limits.count(caller);
    const idempotencyKey = keyOf(headers["idempotency-key"]);
    const base = context.baseOf(request.raw);
    const answer = ({ id, isReplay }: Queued): FastifyReply => {
      limits.describe(caller, reply.raw);
      if (isReplay) reply.header("idempotent-replayed", "true");
      reply.header("link", linksOf(id, base, eventTokens));
      return sendJson(reply, retryBody(id, base, oldId));
    };

    // Before anything else, so that one whose answer was lost is told also when the old request is gone.
    const digest = idempotencyKey === null ? null : await retryDigest(oldId);
    const first = idempotencyKey === null ? undefined : await earlier(store, caller.owner, idempotencyKey);
    if (first?.ok === false) return answer({ id: replayOf(first, digest), isReplay: true });

    const old = await ownRequest(context, request.raw, "submit", oldId);
    if (old.finishedAt === null) return sendConflict(reply, "not_finished", old);
    const model = models.find(old.model);
    if (model === undefined) throw new InferqError("unknown_model", { model: old.model });
    checkMayUse(caller, model, old.model);
    checkRunnable(model, old.model);
    const { definition } = model;
    const { webhook, refusal } = webhookOf(old, settings.allowPrivateWebhooks);
    if (refusal !== undefined) reply.header("warning", `299 - "Its outcome will not be sent: ${refusal}."`);
    const options = { ...optionsOf(old, settings), webhook, idempotencyKey };
    const id = ids.make(caller.owner, toldLife(options, settings));
    return answer(
      await enqueue({
        id,
        caller,
        model,
        options,
        idempotencyDigest: digest,
        retryOf: oldId,
        base,
        looksFirst: false, // it has been looked up
        write: () => copyInput(old, id.id, definition.input, blobs, () => notFound(context, caller.owner, oldId)),
      }),
    );
  };

  // Answered before a body is read: none is needed, and some clients send one.
  app.post("/v2/requests/:id/retry", { onRequest: retry, onResponse: drainUnread }, retry);
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

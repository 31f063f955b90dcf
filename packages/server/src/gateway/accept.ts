/** From a submit's HTTP request to a queued request; V2 and V1 share it. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { newBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { StoredInput } from "../core/request.ts";
import { intake } from "../media/intake.ts";
import { mediaFields } from "../media/media.ts";
import { ownBases, type SourceContext, type Upload } from "../media/sources.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import type { JsonSchema } from "../model/model.ts";
import type { ApiKey } from "../store/keys.ts";
import type { EnqueueAnswer } from "../store/store.ts";
import { checkContentType, fieldsOf, fitForm, Form } from "./body.ts";
import type { GatewayContext } from "./context.ts";
import { fileExpiry } from "./file-life.ts";
import { earlier, replayOf, requestDigest } from "./idempotency.ts";
import { type SubmitOptions, submitOptions, termsOf, toldLife } from "./submit-options.ts";

/** Larger inputs are files: the queue holds no photos. */
const MAX_INPUT_IN_QUEUE = 64 * 1024;
/** Names of unknown fields that fit into a header. */
const MAX_WARNED_FIELDS = 10;

/** A submit whose body has been read, whichever way it came. */
export interface Submitted {
  readonly caller: ApiKey;
  readonly model: CatalogEntry;
  /** Origin under which the caller reached the server. */
  readonly base: string;
  /** Port that it reached it at. */
  readonly port: number;
  readonly options: SubmitOptions;
  /** The body's fields as they came. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The files of a form, each under the text that stands for it in `fields`. */
  readonly uploads: ReadonlyMap<string, Upload>;
}

/** Checks what was submitted, stores its files and enqueues its request; or finds that it was submitted before. */
export type Accept = (submitted: Submitted) => Promise<Accepted>;

/** What was accepted. */
export interface Accepted {
  readonly id: string;
  /** `id` is that of the request which the idempotency key had already, and nothing was added. */
  readonly isReplay: boolean;
  /** Origin under which the caller reached the server. */
  readonly base: string;
  /** The body's fields as they came. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Those of them that the model does not know. */
  readonly unknown: readonly string[];
}

interface ModelPath {
  Params: { model: string };
}

/**
 * The checks that need no body, in the order of the errors: key, model, content type, options, size. They run
 * before the body is read, so that a refused photo is not taken in first.
 */
export function checkBeforeBody(context: GatewayContext, closing: () => boolean): (request: FastifyRequest) => void {
  return (request) => {
    if (closing()) throw new InferqError("shutting_down");
    request.caller = context.authenticate(request.headers);
    const { model } = request.params as ModelPath["Params"];
    const entry = context.models.find(model);
    if (entry === undefined) throw new InferqError("unknown_model", { model });
    request.model = entry;
    checkContentType(request);
    request.submitOptions = submitOptions(request.headers, entry, context.settings);
    const length = Number(request.headers["content-length"] ?? 0);
    const limit = context.settings.bodyLimitBytes;
    if (length > limit) throw new InferqError("body_too_large", { limit });
    const { state } = entry;
    if (state.type === "failed") {
      throw new InferqError("model_unavailable", { model, detail: state.reason.replace(/\.$/, "") });
    }
  };
}

/** Registers `checkBeforeBody` on the routes of `app` that name a model. */
export function guardSubmits(app: FastifyInstance, check: (request: FastifyRequest) => void): void {
  app.addHook("onRequest", (request, _reply, done) => {
    try {
      check(request);
      done();
    } catch (error) {
      done(error as InferqError);
    }
  });
}

/** What the routes that `guardSubmits` guards have read. */
export function submittedOf(request: FastifyRequest, context: Pick<GatewayContext, "baseOf">): Submitted {
  const { caller, model, submitOptions: options, body } = request;
  if (caller === null || model === null || options === null) throw new InferqError("internal");
  const { fields, uploads } = fieldsOf(body);
  if (body instanceof Form) fitForm(body, model.definition.input);
  const base = context.baseOf(request.raw);
  return { caller, model, options, base, port: request.socket.localPort ?? 0, fields, uploads };
}

export function accepter(context: GatewayContext): Accept {
  const { blobs, store, clock, settings, logger, ids } = context;

  const sourcesOf = ({ base, port, uploads }: Submitted): SourceContext => {
    const { mediaLimitBytes: limitBytes, publicUrl, allowPrivate } = settings;
    return { uploads, limitBytes, ownBases: ownBases(base, publicUrl ?? undefined, port), allowPrivate };
  };

  const expired = async (key: string): Promise<boolean> => (await fileExpiry(key, context)) <= clock.now();

  const storeLarge = async (id: string, json: string): Promise<StoredInput> => {
    const key = newBlobKey(id, 0, "json");
    await blobs.put(key, { bytes: Buffer.from(json) });
    return { key };
  };

  /** By its code alone: the sentence may quote the input. What has no code is told where errors are answered. */
  const tellRefused = (error: unknown, about: object): void => {
    if (!(error instanceof InferqError)) return;
    const { code, status } = error;
    if (status < 500) logger.info({ ...about, code }, "request refused");
    else logger.warn({ ...about, code, err: error }, "request refused");
  };

  return async (submitted) => {
    const { caller, model, base, fields, options } = submitted;
    const { owner } = caller;
    const { definition } = model;
    const { idempotencyKey } = options;
    const id = ids.make(owner, toldLife(options, settings));
    const about = { request: id, owner, key: caller.name, model: definition.name };
    let checked = false;
    const forget = async (): Promise<void> => {
      const tellLeft = (err: unknown): void => logger.warn({ ...about, err }, "files were left behind");
      await blobs.deletePrefix(`${id}/`).catch(tellLeft);
    };

    try {
      const { input, unknown } = model.check(fields);
      checked = true;
      const withMedia = hasMedia(input, definition.input);
      const sources = withMedia || idempotencyKey !== null ? sourcesOf(submitted) : undefined;
      const digest = idempotencyKey === null ? null : await requestDigest(model, input, sources!, options);
      const replay = (first: Extract<EnqueueAnswer, { ok: false }>): Accepted => {
        const firstId = replayOf(first, digest);
        logger.info({ ...about, request: firstId }, "request replayed");
        return { id: firstId, isReplay: true, base, fields, unknown };
      };
      if (withMedia && idempotencyKey !== null) {
        const first = await earlier(store, owner, idempotencyKey); // saves the disk what the enqueue would refuse
        if (!first.ok) return replay(first);
      }
      // Most have neither media nor much text, and wait for the enqueue alone.
      const taken = withMedia
        ? await intake(input, definition.input, { ...sources!, id, blobs, expired })
        : { input, hasFiles: false };
      const json = JSON.stringify(taken.input);
      const isLarge = json.length > MAX_INPUT_IN_QUEUE;
      const hasFiles = isLarge || taken.hasFiles;
      const now = clock.now();
      const answer = await store.enqueue({
        id,
        model: definition.name,
        owner,
        input: isLarge ? await storeLarge(id, json) : { json },
        hasFiles,
        createdAt: now,
        notBefore: now,
        ...termsOf(options, settings, id, now),
        idempotencyDigest: digest,
        retryOf: null,
        webhook: null,
        publicBase: base,
      });
      if (!answer.ok) {
        const again = replay(answer);
        if (hasFiles) await forget();
        return again;
      }
      logger.info(about, "request accepted");
      return { id, isReplay: false, base, fields, unknown };
    } catch (error) {
      tellRefused(error, about);
      if (checked) await forget();
      throw error;
    }
  };
}

function hasMedia(input: Readonly<Record<string, unknown>>, schema: JsonSchema): boolean {
  for (const name of mediaFields(schema).keys()) if (input[name] !== undefined) return true;
  return false;
}

/** Headers that tell what the body cannot: that the request is one from before, and which fields were ignored. */
export function describeAccepted(
  { isReplay, unknown }: Pick<Accepted, "isReplay" | "unknown">,
  response: ServerResponse,
): void {
  if (isReplay) response.setHeader("idempotent-replayed", "true");
  warnOf(unknown, response);
}

/** Names the ignored fields (RFC 7234 §5.5). They are the client's own text: what a header cannot hold is replaced. */
function warnOf(ignored: readonly string[], response: ServerResponse): void {
  if (ignored.length === 0) return;
  const names = ignored.slice(0, MAX_WARNED_FIELDS).map((name) => name.slice(0, 50).replace(/[^ !#-[\]-~]/g, "?"));
  if (ignored.length > MAX_WARNED_FIELDS) names.push(`and ${ignored.length - MAX_WARNED_FIELDS} more`);
  response.setHeader("warning", `299 - "The model does not know these fields and ignores them: ${names.join(", ")}"`);
}

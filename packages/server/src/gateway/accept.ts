/** From a submit's HTTP request to a queued request; V2 and V1 share it. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { InferqError } from "../core/errors.ts";
import { intake } from "../media/intake.ts";
import { mediaFields } from "../media/media.ts";
import { ownBases, type SourceContext, type Upload } from "../media/sources.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import type { JsonSchema } from "../model/model.ts";
import type { ApiKey } from "../store/keys.ts";
import { checkMayUse } from "./auth.ts";
import { checkContentType, fieldsOf, fitForm, Form } from "./body.ts";
import type { GatewayContext } from "./context.ts";
import { type Enqueue, type Queued, storeInput, type WrittenInput } from "./enqueue.ts";
import { fileExpiry } from "./file-life.ts";
import { requestDigest } from "./idempotency.ts";
import { LimitError } from "./limit-error.ts";
import { type SubmitOptions, submitOptions, toldLife } from "./submit-options.ts";
import { webhookWish } from "./webhook-wish.ts";

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
export interface Accepted extends Queued {
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
 * The checks that need no body, in the order of the errors: key, model, whether the key may use it, content type, options, size. They run
 * before the body is read, so that a refused photo is not taken in first.
 */
export function checkBeforeBody(context: GatewayContext, closing: () => boolean): (request: FastifyRequest) => void {
  return (request) => {
    if (closing()) throw new InferqError("shutting_down");
    request.caller = context.authenticate(request.raw, "submit");
    const { model } = request.params as ModelPath["Params"];
    const entry = context.models.find(model);
    if (entry === undefined) throw new InferqError("unknown_model", { model });
    checkMayUse(request.caller, entry, model);
    request.model = entry;
    checkContentType(request);
    const webhook = webhookWish(request.url, context.settings.allowPrivateWebhooks);
    request.submitOptions = { ...submitOptions(request.headers, entry, context.settings), webhook };
    const length = Number(request.headers["content-length"] ?? 0);
    const limit = context.settings.bodyLimitBytes;
    if (length > limit) throw new InferqError("body_too_large", { limit });
    checkRunnable(entry, model);
  };
}

/** Throws `model_unavailable` where the setup of `model` has failed. */
export function checkRunnable({ state }: CatalogEntry, model: string): void {
  if (state.type !== "failed") return;
  throw new InferqError("model_unavailable", { model, detail: state.reason.replace(/\.$/, "") });
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

export function accepter(context: GatewayContext, enqueue: Enqueue): Accept {
  const { blobs, clock, settings, logger, ids } = context;

  const sourcesOf = ({ base, port, uploads }: Submitted): SourceContext => {
    const { mediaLimitBytes: limitBytes, publicUrl, allowPrivate } = settings;
    return { uploads, limitBytes, ownBases: ownBases(base, publicUrl ?? undefined, port), allowPrivate };
  };

  const expired = async (key: string): Promise<boolean> => (await fileExpiry(key, context)) <= clock.now();

  return async (submitted) => {
    const { caller, model, base, fields, options } = submitted;
    const { definition } = model;
    const id = ids.make(caller.owner, toldLife(options, settings));
    try {
      const { input, unknown } = model.check(fields);
      const withMedia = hasMedia(input, definition.input);
      const withKey = options.idempotencyKey !== null;
      const takeMedia = async (): Promise<WrittenInput> => {
        const taken = await intake(input, definition.input, { ...sourcesOf(submitted), id: id.id, blobs, expired });
        return await storeInput(blobs, id.id, JSON.stringify(taken.input), taken.hasFiles);
      };
      const queued = await enqueue({
        id,
        caller,
        model,
        options,
        idempotencyDigest: withKey ? await requestDigest(model, input, sourcesOf(submitted), options) : null,
        retryOf: null,
        base,
        looksFirst: withMedia,
        write: withMedia ? takeMedia : () => storeInput(blobs, id.id, JSON.stringify(input), false),
      });
      return { id: queued.id, isReplay: queued.isReplay, base, fields, unknown };
    } catch (error) {
      const about = { request: id.id, owner: caller.owner, key: caller.name, model: definition.name };
      tellRefused(logger, error, about);
      throw error;
    }
  };
}

/** By its code alone: the sentence may quote the input. What has no code is told where errors are answered. */
function tellRefused(logger: Logger, error: unknown, about: object): void {
  if (!(error instanceof InferqError) || error instanceof LimitError) return; // limits tell of themselves, less often
  const { code, status } = error;
  if (status < 500) logger.info({ ...about, code }, "request refused");
  else logger.warn({ ...about, code, err: error }, "request refused");
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

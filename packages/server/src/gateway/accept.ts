/** From a submit's HTTP request to a queued request; V2 and V1 share it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { randomToken } from "../core/ids.ts";
import type { StoredInput } from "../core/request.ts";
import { intake, ownBases } from "../media/intake.ts";
import { isSchema } from "../model/coerce.ts";
import { checkContentType, readFields } from "./body.ts";
import type { GatewayContext } from "./context.ts";

/** Larger inputs are files: the queue holds no photos. */
const MAX_INPUT_IN_QUEUE = 64 * 1024;
/** Names of unknown fields that fit into a header. */
const MAX_WARNED_FIELDS = 10;

/** What was accepted, and what of the body was for the gateway rather than for the model. */
export interface Accepted {
  readonly id: string;
  readonly base: string;
  /** `"base64": true` was in the body, and is no field of the model's. */
  readonly base64: boolean;
}

interface ModelPath {
  Params: { model: string };
}

/**
 * The checks that need no body, in the order of the errors: key, model, content type. They run before
 * the body is read, so that a refused photo is not taken in first.
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

/** Makes the function that checks a submit's body, stores its files and enqueues the request. */
export function accepter(
  context: GatewayContext,
  newId: () => string,
): (request: FastifyRequest, reply: FastifyReply) => Promise<Accepted> {
  const { blobs, store, clock, settings } = context;
  return async (request, reply) => {
    const { caller, model } = request;
    if (caller === null || model === null) throw new InferqError("internal");
    const base = context.baseOf(request.raw);
    const form = await readFields(request, settings.bodyLimitBytes);
    if (form.uploads.size > 0 || request.isMultipart()) wrapLists(form.fields, model.definition.input);
    const { input: checked, unknown } = model.check(form.fields);

    const id = newId();
    let hasFiles = false;
    try {
      const taken = await intake(checked, model.definition.input, {
        id,
        blobs,
        uploads: form.uploads,
        limitBytes: settings.mediaLimitBytes,
        ownBases: ownBases(base, settings.publicUrl ?? undefined, request.socket.localPort ?? 0),
        allowPrivate: settings.allowPrivate,
      });
      hasFiles = taken.hasFiles;
      const json = JSON.stringify(taken.input);
      let input: StoredInput = { json };
      if (json.length > MAX_INPUT_IN_QUEUE) {
        const key = `${id}/0/${randomToken()}.json`;
        hasFiles = true;
        await blobs.put(key, { bytes: Buffer.from(json) });
        input = { key };
      }
      const now = clock.now();
      await store.enqueue({
        id,
        model: model.definition.name,
        owner: caller.owner,
        input,
        hasFiles,
        priority: 0,
        createdAt: now,
        notBefore: now,
        startDeadline: null,
        expiresAt: now + settings.resultTtlSeconds * 1000,
        idempotencyKey: null,
        idempotencyDigest: null,
        webhook: null,
        publicBase: base,
      });
    } catch (error) {
      await blobs.deletePrefix(`${id}/`).catch((err: unknown) => context.logger.warn({ id, err }, "files are left"));
      throw error;
    }
    context.logger.info({ id, key: caller.name, model: model.definition.name }, "request accepted");
    const ignored = unknown.filter((name) => name !== "base64");
    if (ignored.length > 0) reply.header("warning", warning(ignored));
    return { id, base, base64: isTrue(form.fields["base64"]) && unknown.includes("base64") };
  };
}

/** A form has no lists: a single value stands for a list of one where the model wants a list. */
function wrapLists(fields: Record<string, unknown>, schema: Readonly<Record<string, unknown>>): void {
  const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
  for (const [name, property] of Object.entries(properties)) {
    const value = fields[name];
    if (value !== undefined && !Array.isArray(value) && isSchema(property) && property["type"] === "array") {
      fields[name] = [value];
    }
  }
}

function isTrue(value: unknown): boolean {
  return value === true || value === "true";
}

/** RFC 7234 §5.5. Field names are the client's own text: only what a quoted string of a header may hold is kept. */
function warning(ignored: readonly string[]): string {
  const names = ignored.slice(0, MAX_WARNED_FIELDS).map((name) => name.slice(0, 50).replace(/[^ !#-[\]-~]/g, "?"));
  if (ignored.length > MAX_WARNED_FIELDS) names.push(`and ${ignored.length - MAX_WARNED_FIELDS} more`);
  return `299 - "The model does not know these fields and ignores them: ${names.join(", ")}"`;
}

/** `POST /v1/{model}`: the same queued request, awaited (in-practice, "Synchronous V1"). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type ErrorCode, InferqError } from "../core/errors.ts";
import type { Request } from "../core/request.ts";
import { resultBody } from "../wire/bodies.ts";
import { base64Body, syncFile } from "../wire/sync.ts";
import { type Accept, type Accepted, describeAccepted, submittedOf } from "./accept.ts";
import { freeBody } from "./body-budget.ts";
import type { GatewayContext } from "./context.ts";
import { ownRequest } from "./own-request.ts";
import { countReading } from "./readings.ts";
import { sendBody, sendStreamed } from "./streams.ts";
import type { Waiter } from "./waiter.ts";

export function syncRoute(app: FastifyInstance, context: GatewayContext, accept: Accept, waiter: Waiter): void {
  const { settings } = context;

  /** In a function of its own, so that nothing keeps the body while its client waits. */
  const accepted = async (request: FastifyRequest, reply: FastifyReply) => {
    const answer = await accept(submittedOf(request, context));
    const { id, base, isReplay } = answer;
    const { base64, ignored } = asksForBase64(answer);
    freeBody(request);
    describeAccepted({ isReplay, unknown: ignored }, reply.raw);
    context.limits.describe(request.caller!, reply.raw);
    return { id, base, base64 };
  };

  /** What is accepted while the server stops runs after the next start: for that no call waits. */
  const refuseWhenStopping = (_request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void =>
    done(context.readiness() === "stopping" ? new InferqError("shutting_down") : undefined);

  app.post("/v1/:model", { onRequest: refuseWhenStopping }, async (request, reply) => {
    const { id, base, base64 } = await accepted(request, reply);
    reply.header("x-request-id", id).header("x-remaining-credits", String(settings.remainingCredits));
    reply.header("x-cost", "0");
    // A client that goes away leaves the request alone: it was accepted, and can still be polled.
    await waiter.finished(id, settings.syncTimeoutSeconds * 1000, reply.raw);
    const done = await ownRequest(context, request.raw, "submit", id);
    countReading(context, done, reply.raw);
    if (done.status === "FAILED") throw failedRun(done);
    if (done.status !== "COMPLETED") {
      if (waiter.stopped) throw new InferqError("sync_stopped", { id });
      throw new InferqError("sync_timeout", { id, seconds: settings.syncTimeoutSeconds });
    }
    reply.header("x-generation-time", ((done.inferenceMs ?? 0) / 1000).toFixed(3));
    await sendOutput(reply, done, base, base64, context);
    return reply;
  });
}

/** Failures that come of what was asked: an input that could not be fetched or read, a limit that the caller set, its own cancel. */
const OF_THE_CALLER: ReadonlySet<ErrorCode> = new Set([
  "invalid_input",
  "input_blocked",
  "input_unreachable",
  "media_too_large",
  "start_timeout",
  "cancelled",
]);

/** What comes of the caller's own wish is its error, as an input that is refused at once. */
function failedRun({ failure, runTimeoutMs }: Pick<Request, "failure" | "runTimeoutMs">): InferqError {
  if (failure === null) return new InferqError("sync_run_failed", { detail: "" });
  const { code, message } = failure;
  const isOwn = OF_THE_CALLER.has(code) || (code === "run_timeout" && runTimeoutMs !== null);
  return isOwn ? new RefusedRun(code, message) : new InferqError("sync_run_failed", { detail: message });
}

/** Its sentence is the failure's own. */
class RefusedRun extends InferqError {
  constructor(code: ErrorCode, sentence: string) {
    super(code);
    this.message = sentence;
  }
}

/** Whether `"base64": true` is in the body and meant for the gateway: not when the model itself has such a field. */
function asksForBase64({ fields, unknown }: Accepted): {
  readonly base64: boolean;
  readonly ignored: readonly string[];
} {
  const ignored = unknown.filter((name) => name !== "base64");
  const base64 = fields["base64"];
  return { base64: ignored.length < unknown.length && (base64 === true || base64 === "true"), ignored };
}

/** The file itself, the file as base64, or the text's JSON. */
async function sendOutput(
  reply: FastifyReply,
  done: Request,
  base: string,
  asBase64: boolean,
  { blobs }: GatewayContext,
): Promise<void> {
  const { result } = done;
  const file = result === null ? undefined : syncFile(result);
  if (result === null || result.kind === "text" || file === undefined) {
    return await sendBody(reply, blobs, resultBody(done, base));
  }
  if (asBase64) return await sendStreamed(reply, blobs, base64Body(result, file, done), "base64");
  const bytes = await blobs.get(file.key);
  if (bytes === undefined) throw new InferqError("unknown_file");
  reply.header("content-type", file.contentType).header("content-length", file.size);
  reply.header("x-content-type-options", "nosniff").header("cache-control", "no-store");
  reply.send(bytes);
}

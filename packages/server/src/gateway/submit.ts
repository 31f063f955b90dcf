/** `POST /v2/{model}`: check, enqueue, answer with the URLs to poll; or, where the client waits, with what became of it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Request } from "../core/request.ts";
import { submitBody, submittedBody } from "../wire/bodies.ts";
import { type Accept, type Accepted, describeAccepted, submittedOf } from "./accept.ts";
import { freeBody } from "./body-budget.ts";
import { type GatewayContext, sendAscii } from "./context.ts";
import { linksOf } from "./links.ts";
import { ownRequest } from "./own-request.ts";
import { countReading } from "./readings.ts";
import { sendBody } from "./streams.ts";
import { checkWish, isBehindAnother, tellGranted, waitWish } from "./wait-wish.ts";
import type { Waiter } from "./waiter.ts";

export function submitRoute(app: FastifyInstance, context: GatewayContext, accept: Accept, waits: Waiter): void {
  const { blobs, settings, eventTokens } = context;

  /** In a function of its own, so that nothing keeps the body while its client waits. */
  const accepted = async (request: FastifyRequest, reply: FastifyReply): Promise<Pick<Accepted, "id" | "base">> => {
    const { id, base, isReplay, unknown } = await accept(submittedOf(request, context));
    freeBody(request);
    describeAccepted({ isReplay, unknown }, reply.raw);
    reply.raw.setHeader("link", linksOf(id, base, eventTokens));
    context.limits.describe(request.caller!, reply.raw);
    return { id, base };
  };

  app.post("/v2/:model", { onRequest: checkWish(settings.waitLimitSeconds) }, async (request, reply) => {
    const seconds = waitWish(request.raw, settings.waitLimitSeconds);
    const { id, base } = await accepted(request, reply);
    if (seconds === 0 || isBehindAnother(reply.raw)) return sendAscii(reply, submitBody(id, base));
    tellGranted(reply.raw, seconds);
    // It was accepted, and lives on when its client goes away.
    await waits.finished(id, seconds * 1000, reply.raw);
    await sendState(await ownRequest(context, request.raw, "submit", id), base, reply);
    return reply;
  });

  const sendState = async (request: Request, base: string, reply: FastifyReply): Promise<void> => {
    if (request.status === "FAILED") reply.code(422).header("x-error-code", request.failure?.code ?? "internal");
    const body = submittedBody(request, base);
    countReading(context, request, reply.raw);
    await sendBody(reply, blobs, body);
  };
}

/** `POST /v2/{model}`: check, enqueue, answer with the URLs to poll; or, where the client waits, with what became of it. */
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Request } from "../core/request.ts";
import { submitBody, submittedBody } from "../wire/bodies.ts";
import { type Accept, describeAccepted, submittedOf } from "./accept.ts";
import { type GatewayContext, sendAscii, sendJson } from "./context.ts";
import { ownRequest } from "./own-request.ts";
import { countReading } from "./readings.ts";
import { sendStreamed } from "./streams.ts";
import { tellGranted, waitWish } from "./wait-wish.ts";
import type { Waiter } from "./waiter.ts";

export function submitRoute(app: FastifyInstance, context: GatewayContext, accept: Accept, waits: Waiter): void {
  const { blobs, settings } = context;

  app.post("/v2/:model", async (request, reply) => {
    const seconds = waitWish(request.raw, settings.waitLimitSeconds);
    const accepted = await accept(submittedOf(request, context));
    describeAccepted(accepted, reply.raw);
    const { id, base } = accepted;
    if (seconds === 0) return sendAscii(reply, submitBody(id, base));
    tellGranted(reply.raw, seconds);
    request.body = undefined; // it is not to be kept as long as somebody waits
    // It was accepted, and lives on when its client goes away.
    await waits.finished(id, seconds * 1000, reply.raw);
    await sendState(await ownRequest(context, request.headers, id), base, reply);
    return reply;
  });

  const sendState = async (request: Request, base: string, reply: FastifyReply): Promise<void> => {
    if (request.status === "FAILED") reply.code(422).header("x-error-code", request.failure?.code ?? "internal");
    const body = submittedBody(request, base);
    countReading(context, request, reply.raw);
    if (typeof body === "string") sendJson(reply, body);
    else await sendStreamed(reply, blobs, body, "text");
  };
}

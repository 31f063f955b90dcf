/** `POST /v2/requests/{id}/cancel`: ends a request of one's own, whether it waits or runs. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { sentence } from "../core/errors.ts";
import type { Failure } from "../core/request.ts";
import { statusBody } from "../wire/bodies.ts";
import { type GatewayContext, sendConflict, sendJson } from "./context.ts";
import { drainUnread } from "./errors.ts";
import { type IdPath, ownStatus } from "./own-request.ts";

/** How a request ends that its client wants no more. */
export const CANCELLED: Failure = { code: "cancelled", message: sentence("cancelled") };

export function cancelRoute(app: FastifyInstance, context: GatewayContext): void {
  const cancel = async (request: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    const { raw } = request;
    const { id, finishedAt } = await ownStatus(context, raw, "submit", request.params.id);
    if (finishedAt === null) await context.store.finish(id, { type: "cancel", failure: CANCELLED });
    // Another outcome may have come first: what counts is which one the request has now.
    const view = await ownStatus(context, raw, "submit", id);
    if (view.failure?.code === "cancelled") {
      reply.header("x-error-code", "cancelled");
      return sendJson(reply, statusBody(view, context.baseOf(raw)));
    }
    return sendConflict(reply, "already_finished", view);
  };

  // Answered before a body is read: none is needed, and some clients send one.
  app.post("/v2/requests/:id/cancel", { onRequest: cancel, onResponse: drainUnread }, cancel);
}

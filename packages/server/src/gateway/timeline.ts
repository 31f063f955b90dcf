/** `GET /v2/requests/{id}/timeline`: what happened to a request, in its order. */
import type { FastifyInstance } from "fastify";
import { timelineBody } from "../wire/own.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { type IdPath, ownRequest } from "./own-request.ts";

export function timelineRoute(app: FastifyInstance, context: GatewayContext): void {
  app.get<IdPath>("/v2/requests/:id/timeline", async (request, reply) => {
    // The request first: an attempt that ends between the two reads is then told twice over and not lost.
    const found = await ownRequest(context, request.raw, "read", request.params.id);
    const past = await context.store.pastAttempts(found.id);
    const delivery = found.webhook === null ? undefined : await context.deliveries.get(found.id);
    return sendJson(reply, timelineBody(found, past, delivery));
  });
}

/** `POST /v2/requests/{id}/cancel`: ends a request of one's own, whether it waits or runs. */
import type { FastifyInstance } from "fastify";
import { sentence } from "../core/errors.ts";
import { conflictBody, statusBody } from "../wire/bodies.ts";
import { ignoreBodies } from "./body.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { ownStatus } from "./own-request.ts";

const CANCELLED = { code: "cancelled", message: sentence("cancelled") } as const;

/** Register it in a scope of its own: it takes any body, and no content type is asked for. */
export function cancelRoute(app: FastifyInstance, context: GatewayContext): void {
  ignoreBodies(app);
  app.addHook("onRequest", async ({ headers }) => void context.authenticate(headers)); // before a body is read
  app.post<{ Params: { id: string } }>("/v2/requests/:id/cancel", async ({ params: { id }, headers, raw }, reply) => {
    const found = await ownStatus(context, headers, id);
    if (found.finishedAt === null) await context.store.finish(id, { type: "cancel", failure: CANCELLED });
    // Another outcome may have come first: what counts is which one the request has now.
    const view = await ownStatus(context, headers, id);
    if (view.failure?.code === "cancelled") {
      reply.header("x-error-code", "cancelled");
      return sendJson(reply, statusBody(view, context.baseOf(raw)));
    }
    const { status } = view;
    reply.code(409).header("x-error-code", "already_finished");
    return sendJson(reply, conflictBody(sentence("already_finished", { id, status }), view));
  });
}

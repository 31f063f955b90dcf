/** `DELETE /v2/requests/{id}`: a request with its files, before its time. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { CANCELLED } from "./cancel.ts";
import type { GatewayContext } from "./context.ts";
import { drainUnread } from "./errors.ts";
import { type IdPath, ownStatus } from "./own-request.ts";

export function deleteRoute(app: FastifyInstance, context: GatewayContext): void {
  const { store, blobs, logger } = context;

  const remove = async (request: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    const { id, owner, model, finishedAt } = await ownStatus(context, request.raw, "submit", request.params.id);
    // Its run is fenced before its files go: what it still writes, its worker deletes.
    if (finishedAt === null) await store.finish(id, { type: "cancel", failure: CANCELLED });
    // Files before the row, as at expiry: a kill between the two leaves a row that names the rest of the work.
    await blobs.deletePrefix(`${id}/`).catch((cause: unknown) => {
      logger.warn({ request: id, owner, model, err: cause }, "files could not be deleted");
      throw new InferqError("store_unavailable", {}, { cause });
    });
    // False where another delete, or expiry, came first: it is gone, as was asked.
    const deleted = await store.finish(id, { type: "delete" });
    if (deleted) logger.info({ request: id, owner, model }, "request deleted");
    return reply.code(204).send();
  };

  // Answered before a body is read: some clients send one, or the type of one.
  app.delete("/v2/requests/:id", { onRequest: remove, onResponse: drainUnread }, remove);
}

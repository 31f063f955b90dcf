/** `POST /v2/requests/{id}/retry`: the input of a finished request once more, as a new request of its own. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { retryBody } from "../wire/own.ts";
import { type GatewayContext, sendConflict, sendJson } from "./context.ts";
import type { Queued } from "./enqueue.ts";
import { drainUnread } from "./errors.ts";
import { earlier, replayOf, retryDigest } from "./idempotency.ts";
import { linksOf } from "./links.ts";
import { type IdPath, notFound, ownRequest } from "./own-request.ts";
import type { Rerun } from "./rerun.ts";
import { keyOf } from "./submit-options.ts";

export function retryRoute(app: FastifyInstance, context: GatewayContext, rerun: Rerun, closing: () => boolean): void {
  const { store, eventTokens, limits } = context;

  const retry = async (request: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    if (closing()) throw new InferqError("shutting_down");
    const { headers } = request;
    const { id: oldId } = request.params;
    const caller = context.authenticate(request.raw, "submit");
    limits.count(caller);
    const idempotencyKey = keyOf(headers["idempotency-key"]);
    const base = context.baseOf(request.raw);
    const answer = ({ id, isReplay }: Queued): FastifyReply => {
      limits.describe(caller, reply.raw);
      if (isReplay) reply.header("idempotent-replayed", "true");
      reply.header("link", linksOf(id, base, eventTokens));
      return sendJson(reply, retryBody(id, base, oldId));
    };

    // Before anything else, so that one whose answer was lost is told also when the old request is gone.
    const digest = idempotencyKey === null ? null : await retryDigest(oldId);
    const first = idempotencyKey === null ? undefined : await earlier(store, caller.owner, idempotencyKey);
    if (first?.ok === false) return answer({ id: replayOf(first, digest), isReplay: true });

    const old = await ownRequest(context, request.raw, "submit", oldId);
    if (old.finishedAt === null) return sendConflict(reply, "not_finished", old);
    const gone = (): InferqError => notFound(context, caller.owner, oldId);
    const queued = await rerun({ old, caller, idempotencyKey, idempotencyDigest: digest, base, gone });
    if (queued.warning !== undefined) reply.header("warning", `299 - "${queued.warning}."`);
    return answer(queued);
  };

  // Answered before a body is read: none is needed, and some clients send one.
  app.post("/v2/requests/:id/retry", { onRequest: retry, onResponse: drainUnread }, retry);
}

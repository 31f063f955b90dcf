/** The polls: status and result on V2, both in one on V1. A request of another owner does not exist. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Request } from "../core/request.ts";
import type { RequestStatus } from "../store/store.ts";
import { resultBody, statusBody } from "../wire/bodies.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { addOutlook } from "./outlook.ts";
import { type IdPath, ownRequest, ownStatus } from "./own-request.ts";
import { checkPartial, partialAnswer, partialWish } from "./partial.ts";
import { countReading } from "./readings.ts";
import { sharedReads } from "./shared-reads.ts";
import { sendBody } from "./streams.ts";
import { checkWish } from "./wait-wish.ts";

export function requestRoutes(app: FastifyInstance, context: GatewayContext): void {
  const { blobs, settings } = context;
  const read = sharedReads(context.store);

  /** No promise unless the store needs one, one string; most polls take the short way in status-poll.ts. */
  const status = (request: FastifyRequest<IdPath>, reply: FastifyReply): undefined | Promise<void> => {
    const view = ownStatus(context, request.raw, "read", request.params.id);
    if (view instanceof Promise) return view.then((later) => sendStatus(later, request, reply));
    sendStatus(view, request, reply);
  };

  const sendStatus = (view: RequestStatus, request: FastifyRequest<IdPath>, reply: FastifyReply): void => {
    if (view.status === "FAILED") failed(reply, view).code(422);
    const told: string[] = [];
    addOutlook(context, view, told);
    for (let i = 0; i < told.length; i += 2) reply.header(told[i]!, told[i + 1]);
    sendJson(reply, statusBody(view, context.baseOf(request.raw)));
  };

  const sendResult = async (request: FastifyRequest<IdPath>, reply: FastifyReply, found: Request): Promise<void> => {
    const body = resultBody(found, context.baseOf(request.raw));
    countReading(context, found, reply.raw);
    await sendBody(reply, blobs, body);
  };

  /** The key first, then what is asked for. Whoever waits has waited when a poll comes here: see wait-poll.ts. */
  const onRequest = [
    (request: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
      context.authenticate(request.raw, "read");
      done();
    },
    checkWish(settings.waitLimitSeconds),
  ];

  app.get<IdPath>("/v2/requests/:id/status", { onRequest }, status);

  app.get<IdPath>("/v2/requests/:id", { onRequest: [...onRequest, checkPartial] }, async (request, reply) => {
    const partial = partialWish(request.raw.url!) ? await partialAnswer(context, request, read) : undefined;
    if (partial !== undefined) return sendJson(reply, partial);
    const found = await ownRequest(context, request.raw, "read", request.params.id, read);
    if (found.status === "FAILED") failed(reply, found).code(422);
    await sendResult(request, reply, found);
    return reply;
  });

  // HTTP 200 also for FAILED: the contract's 422 is V2's, and V1's pollers read `status` from the body.
  app.get<IdPath>("/v1/requests/:id", { onRequest }, async (request, reply) => {
    const found = await ownRequest(context, request.raw, "read", request.params.id, read);
    if (found.status === "FAILED") failed(reply, found);
    await sendResult(request, reply, found);
    return reply;
  });
}

function failed(reply: FastifyReply, view: Pick<RequestStatus, "failure">): FastifyReply {
  return reply.header("x-error-code", view.failure?.code ?? "internal");
}

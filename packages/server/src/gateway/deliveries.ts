/** `/v2/webhooks/deliveries`: what became of the webhooks to the caller's own requests, and sending one again. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { isId } from "../core/ids.ts";
import type { Delivery, DeliveryState, DeliveryWish } from "../store/deliveries.ts";
import type { Scope } from "../store/keys.ts";
import { deliveriesBody, deliveryBody, redeliveredBody } from "../wire/deliveries.ts";
import type { Call } from "./auth.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { drainUnread } from "./errors.ts";
import { guessOf, type IdPath } from "./own-request.ts";
import { bad, cursorOf, DEFAULT_LIMIT, glimpse, nextLink, PAGE_READERS, readQuery, type Readers } from "./query.ts";

const PATH = "/v2/webhooks/deliveries";
const STATES: readonly DeliveryState[] = ["pending", "delivered", "failed"];

const READERS: Readers<DeliveryWish> = { state: (value) => ({ state: asState(value) }), ...PAGE_READERS };

export function deliveryRoutes(app: FastifyInstance, context: GatewayContext): void {
  const { deliveries } = context;

  app.get(PATH, async (request, reply) => {
    const { owner } = context.authenticate(request.raw, "read");
    const query = request.query as Record<string, string>;
    const page = await deliveries.list({ owner, limit: DEFAULT_LIMIT, ...readQuery(query, READERS) });
    const cursor = page.next === null ? null : cursorOf(page.next);
    if (cursor !== null) reply.header("link", nextLink(context.baseOf(request.raw), PATH, query, cursor));
    return sendJson(reply, deliveriesBody(page.deliveries, cursor));
  });

  app.get<IdPath>(`${PATH}/:id`, async ({ raw, params }, reply) =>
    sendJson(reply, deliveryBody(await ownDelivery(context, raw, "read", params.id))),
  );

  const redeliver = async ({ raw, params }: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    const { id } = await ownDelivery(context, raw, "submit", params.id);
    // It may be deleted between the two.
    if (!(await deliveries.redeliver(id))) throw new InferqError("unknown_delivery", { id });
    return sendJson(reply, redeliveredBody(await ownDelivery(context, raw, "submit", id)));
  };
  // Answered before a body is read: none is needed, and some clients send one.
  app.post(`${PATH}/:id/redeliver`, { onRequest: redeliver, onResponse: drainUnread }, redeliver);
}

/** That of another owner's request does not exist for the caller. */
async function ownDelivery(context: GatewayContext, call: Call, scope: Scope, id: string): Promise<Delivery> {
  const key = context.authenticate(call, scope);
  const found = isId(id) ? await context.deliveries.get(id) : undefined;
  if (found?.owner === key.owner) return found;
  throw guessOf(context, call, key, id) ?? new InferqError("unknown_delivery", { id });
}

function asState(value: string): DeliveryState {
  const state = STATES.find((one) => one === value);
  if (state === undefined) throw bad(`state must be one of ${STATES.join(", ")}, got ${glimpse(value)}.`);
  return state;
}

/** `POST /v2/{model}`: check, enqueue, answer with the URLs to poll. */
import type { FastifyInstance } from "fastify";
import { submitBody } from "../wire/bodies.ts";
import { type Accept, submittedOf, warnOf } from "./accept.ts";
import { type GatewayContext, sendAscii } from "./context.ts";

export function submitRoute(app: FastifyInstance, context: GatewayContext, accept: Accept): void {
  app.post("/v2/:model", async (request, reply) => {
    const { id, base, unknown } = await accept(submittedOf(request, context));
    warnOf(unknown, reply.raw);
    sendAscii(reply, submitBody(id, base));
  });
}

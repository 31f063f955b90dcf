/** `POST /v2/{model}`: check, enqueue, answer with the URLs to poll. */
import type { FastifyInstance } from "fastify";
import { submitBody } from "../wire/bodies.ts";
import type { accepter } from "./accept.ts";
import { sendJson } from "./context.ts";

export function submitRoute(app: FastifyInstance, accept: ReturnType<typeof accepter>): void {
  app.post("/v2/:model", async (request, reply) => {
    const { id, base } = await accept(request, reply);
    return sendJson(reply, submitBody(id, base));
  });
}

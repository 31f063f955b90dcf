/** `POST /v2/{model}`: check, enqueue, answer with the URLs to poll. */
import type { FastifyInstance } from "fastify";
import { submitBody } from "../wire/bodies.ts";
import { type accepter, warnOf } from "./accept.ts";
import { sendAscii } from "./context.ts";

export function submitRoute(app: FastifyInstance, accept: ReturnType<typeof accepter>): void {
  app.post("/v2/:model", async (request, reply) => {
    const { id, base, unknown } = await accept(request);
    warnOf(unknown, reply);
    sendAscii(reply, submitBody(id, base));
  });
}

/** The limits of a submit, checked after its head and before its body is read. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import type { RequestStore } from "../store/store.ts";
import { earlier } from "./idempotency.ts";
import type { Limits } from "./limits.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Gives back the place that its key keeps for it while its body is read. */
    leavePlace: (() => void) | null;
  }
}

/**
 * Registers the check on the routes of `app` that `guardSubmits` guards. Every submit counts for its key's rate. A
 * submit that finds no place goes on if its idempotency key is known: it adds nothing, and whether it is the same
 * one is found out from its body.
 */
export function limitSubmits(app: FastifyInstance, limits: Limits, store: RequestStore): void {
  app.decorateRequest("leavePlace", null);

  const check = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { caller, model, submitOptions: options } = request;
    if (caller === null || model === null || options === null) throw new InferqError("internal");
    limits.count(caller);
    const fault = limits.fault(caller, model, true);
    if (fault === undefined) {
      const leave = limits.keepPlace(caller);
      if (leave === null) return;
      request.leavePlace = leave;
      reply.raw.once("close", leave); // whoever goes away in the middle of its body leaves too
      return;
    }
    const { idempotencyKey } = options;
    if (idempotencyKey === null || (await earlier(store, caller.owner, idempotencyKey)).ok) {
      throw limits.refusal(fault, caller, model);
    }
  };

  app.addHook("onRequest", check);
  // From here on it is the step of the queue that counts it.
  app.addHook("preHandler", (request, _reply, done) => {
    request.leavePlace?.();
    done();
  });
}

/** `/v2/webhooks/secret`: what the caller's webhooks are signed with, and a new one in its place. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { secretBody } from "../wire/deliveries.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { drainUnread } from "./errors.ts";
import { bad, glimpse, readQuery } from "./query.ts";

const PATH = "/v2/webhooks/secret";
const DAY_SECONDS = 86_400;
const WEEK_SECONDS = 604_800;

export function webhookSecretRoutes(app: FastifyInstance, context: GatewayContext): void {
  const { secrets, logger } = context;

  app.get(PATH, (request, reply) => {
    // Whoever knows it can make webhooks, so a key that may only read does not.
    const { owner } = context.authenticate(request.raw, "submit");
    return sendJson(reply, secretBody(stored(() => secrets.secretsOf(owner))));
  });

  const rotate = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { owner, name } = context.authenticate(request.raw, "submit");
    const { overlap = DAY_SECONDS } = readQuery(request.query as Record<string, unknown>, {
      overlap: (value) => ({ overlap: asOverlap(value) }),
    });
    stored(() => secrets.rotateSecret(owner, overlap * 1000));
    logger.info({ audit: "webhook_secret_rotated", key: name, owner }, "webhook secret rotated");
    return sendJson(reply, secretBody(secrets.secretsOf(owner)));
  };
  app.post(`${PATH}/rotate`, { onRequest: rotate, onResponse: drainUnread }, rotate);
}

/** Throws `store_unavailable` where `work` cannot write. */
function stored<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new InferqError("store_unavailable", {}, { cause });
  }
}

function asOverlap(value: string): number {
  const seconds = /^\d{1,6}$/.test(value) ? Number(value) : NaN;
  if (seconds <= WEEK_SECONDS) return seconds;
  throw bad(
    `overlap must be a whole number of seconds from 0 to ${WEEK_SECONDS}, a week, for which the old secret goes on signing, got ${glimpse(value)}.`,
  );
}

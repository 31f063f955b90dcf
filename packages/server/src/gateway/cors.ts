/** Cross-origin reading: files from anywhere, the API from the configured origins (Fetch standard, "CORS protocol"). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { drainUnread } from "./errors.ts";

const EXPOSED: string = [
  "x-error-code",
  "x-expired-at",
  "x-request-id",
  "x-generation-time",
  "x-remaining-credits",
  "x-cost",
  "warning",
  "retry-after",
  "ratelimit",
  "ratelimit-policy",
  "preference-applied",
  "link",
  "idempotent-replayed",
  "x-queue-position",
  "x-estimated-seconds",
  "x-wait-reason",
].join(", ");
const EXPOSED_OF_FILES = "content-length, content-range, accept-ranges, etag";

/** Adds the headers to the API's answers, and answers every OPTIONS, for which no key is asked. */
export function cors(app: FastifyInstance, origins: readonly string[], allowed: (path: string) => string): void {
  const anyOrigin = origins.includes("*");
  const known = new Set(origins);

  const allow = (request: FastifyRequest, reply: FastifyReply): boolean => {
    const { origin } = request.headers;
    if (origin === undefined || !(anyOrigin || known.has(origin))) return false;
    // On the raw answer, which the fast paths send too.
    reply.raw.setHeader("access-control-allow-origin", anyOrigin ? "*" : origin);
    reply.raw.setHeader("access-control-expose-headers", EXPOSED);
    return true;
  };

  if (origins.length > 0) {
    app.addHook("onRequest", (request, reply, done) => {
      if (!anyOrigin) reply.raw.setHeader("vary", "origin");
      if (!request.url.startsWith("/files/")) allow(request, reply);
      done();
    });
  }

  const answerOptions = (request: FastifyRequest, reply: FastifyReply): void => {
    const methods = allowed(request.url.split("?", 1)[0]!);
    reply.header("allow", methods === "" ? "OPTIONS" : `${methods}, OPTIONS`);
    const open = request.url.startsWith("/files/");
    if (open) openToAll(reply);
    if (open || allow(request, reply)) {
      reply.header("access-control-allow-methods", methods);
      reply.header("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "*");
      reply.header("access-control-max-age", "600");
    }
    reply.code(204).send();
  };
  // Answered before its body is read, if it has one: nobody's key was checked.
  app.options("/*", { onRequest: answerOptions, onResponse: drainUnread }, answerOptions);
}

/** A file may be shown by any page: its name is the permission. */
export function openToAll(reply: FastifyReply): void {
  reply.header("access-control-allow-origin", "*");
  reply.header("access-control-expose-headers", EXPOSED_OF_FILES);
  reply.header("cross-origin-resource-policy", "cross-origin");
}

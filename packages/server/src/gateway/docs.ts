/** The API described to programs and to people. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type GatewayContext, sendJson } from "./context.ts";
import { DOCS_POLICY, docsPage } from "./docs-page.ts";
import { openapi } from "./openapi.ts";

/** Stands where each caller reads how it reached the server itself. */
const BASE = "http://base.invalid";

export function docsRoutes(app: FastifyInstance, { models, baseOf }: GatewayContext): void {
  // Made once: they take milliseconds, and are for anybody without a key.
  const document = once(() => JSON.stringify(openapi(models, BASE)));
  const page = once(() => docsPage(openapi(models, BASE)));
  const forCaller = (text: string, request: FastifyRequest): string => {
    const base = baseOf(request.raw);
    return text.replaceAll(BASE, () => base);
  };

  app.get("/openapi.json", (request, reply) => {
    sendJson(reply, forCaller(document(), request));
  });

  app.get("/docs", (request, reply) => {
    reply.header("content-type", "text/html; charset=utf-8").header("content-security-policy", DOCS_POLICY);
    reply.header("x-content-type-options", "nosniff").header("referrer-policy", "no-referrer");
    reply.header("cache-control", "no-store").send(forCaller(page(), request));
  });
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

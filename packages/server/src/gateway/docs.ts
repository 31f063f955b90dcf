/** The API described to programs and to people. */
import type { FastifyInstance } from "fastify";
import { type GatewayContext, sendJson } from "./context.ts";
import { DOCS_POLICY, docsPage } from "./docs-page.ts";
import { openapi } from "./openapi.ts";

export function docsRoutes(app: FastifyInstance, { models, baseOf }: GatewayContext): void {
  app.get("/openapi.json", (request, reply) => {
    sendJson(reply, JSON.stringify(openapi(models, baseOf(request.raw))));
  });

  app.get("/docs", (request, reply) => {
    reply.header("content-type", "text/html; charset=utf-8").header("content-security-policy", DOCS_POLICY);
    reply.header("x-content-type-options", "nosniff").header("referrer-policy", "no-referrer");
    reply.header("cache-control", "no-store").send(docsPage(openapi(models, baseOf(request.raw))));
  });
}

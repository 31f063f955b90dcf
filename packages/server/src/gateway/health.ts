/** For orchestrators and monitoring: alive, ready, and the figures. */
import type { FastifyInstance } from "fastify";
import { type GatewayContext, sendJson } from "./context.ts";

/** `GET /healthz`: the process answers. `GET /readyz`: 503 until the light models are ready, and once the server stops. */
export function healthRoutes(app: FastifyInstance, context: GatewayContext): void {
  app.get("/healthz", (_request, reply) => {
    sendJson(reply, `{"status":"ok"}`);
  });
  app.get("/readyz", (_request, reply) => {
    const readiness = context.readiness();
    sendJson(reply.code(readiness === "ready" ? 200 : 503), `{"status":"${readiness}"}`);
  });
}

/** `GET /metrics` on the main port, for admin keys. */
export function metricsRoute(app: FastifyInstance, context: GatewayContext): void {
  app.get("/metrics", async (request, reply) => {
    context.authenticate(request.raw, "admin");
    return reply
      .header("content-type", context.metrics.contentType)
      .header("cache-control", "no-store")
      .send(await context.metrics.render());
  });
}

/** `GET /v2/models` and `GET /v2/models/{model}`: what is served here, and how it does. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import { type GatewayContext, sendJson } from "./context.ts";

export function modelRoutes(app: FastifyInstance, context: GatewayContext): void {
  app.get("/v2/models", (request, reply) => {
    context.authenticate(request.raw, "any");
    sendJson(reply, JSON.stringify({ models: context.models.entries.map(summary) }));
  });

  app.get("/v2/models/:model", (request: FastifyRequest<{ Params: { model: string } }>, reply) => {
    context.authenticate(request.raw, "any");
    const { model } = request.params;
    const entry = context.models.find(model);
    if (entry === undefined) throw new InferqError("unknown_model", { model });
    sendJson(reply, JSON.stringify({ ...summary(entry), input: entry.definition.input }));
  });
}

function summary(entry: CatalogEntry): Record<string, unknown> {
  const { definition, aliases, state } = entry;
  return {
    name: definition.name,
    modality: definition.output,
    description: definition.description ?? null,
    state: state.type,
    ...(state.type === "failed" ? { reason: state.reason } : {}),
    aliases: aliases.map(({ name, standIn }) => ({ name, stand_in: standIn ?? null })),
  };
}

import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { sentence } from "../core/errors.ts";
import type { RequestIds } from "../core/ids.ts";
import type { ApiKey } from "../store/keys.ts";
import type { RequestStatus } from "../store/store.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import { conflictBody } from "../wire/bodies.ts";
import type { Authenticate, Identify } from "./auth.ts";
import type { BruteForce } from "./brute-force.ts";
import type { EventTokens } from "./event-token.ts";
import type { Limits } from "./limits.ts";
import type { GatewayOptions } from "./options.ts";
import type { ReplayDeadLetter } from "./replay.ts";
import type { SubmitOptions } from "./submit-options.ts";
import type { BaseOf } from "./urls.ts";
import { JSON_TYPE } from "./errors.ts";

/** What the routes share. */
export interface GatewayContext extends GatewayOptions {
  readonly identify: Identify;
  readonly authenticate: Authenticate;
  readonly baseOf: BaseOf;
  readonly ids: RequestIds;
  readonly eventTokens: EventTokens;
  readonly limits: Limits;
  readonly guard: BruteForce;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Whose request it is; set on routes that take a body, before it is read. */
    caller: ApiKey | null;
    /** The model that the path names; set with `caller` on the routes that run one. */
    model: CatalogEntry | null;
    /** What its headers ask for; set with `model`. */
    submitOptions: SubmitOptions | null;
  }

  interface FastifyInstance {
    /** Every route as `METHOD path`, sorted; docs/reference/http.md is held equal to it. */
    listRoutes(): string[];
    /** For the operator, who needs no key. */
    readonly replayDeadLetter: ReplayDeadLetter;
  }
}

/** Sends a body that is JSON already. Nobody may keep it: states change, and results expire. */
export function sendJson(reply: FastifyReply, body: string): FastifyReply {
  return reply.header("content-type", JSON_TYPE).header("cache-control", "no-store").send(body);
}

/** Sends what cannot be done to a request in its state. */
export function sendConflict(
  reply: FastifyReply,
  code: "already_finished" | "not_finished",
  view: Pick<RequestStatus, "id" | "status">,
): FastifyReply {
  const { id, status } = view;
  reply.code(409).header("x-error-code", code);
  return sendJson(reply, conflictBody(sentence(code, { id, status }), view));
}

/**
 * As `sendJson` with status 200, for a body of ASCII alone (ids, a checked host, figures) on the paths
 * that must be fast. Headers that were set on `reply.raw` go along; those set on `reply` do not.
 */
export function sendAscii(reply: FastifyReply, body: string): void {
  reply.hijack();
  writeAscii(reply.raw, body);
}

/** Header names and values in turn (others may be in `headers`) and a latin1 body leave in one write, without being encoded. */
export function writeAscii(response: ServerResponse, body: string, headers: string[] = []): void {
  const length = String(body.length);
  headers.push("content-type", JSON_TYPE, "cache-control", "no-store", "content-length", length);
  response.writeHead(200, headers);
  response.end(body, "latin1");
}

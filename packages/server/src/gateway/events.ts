/** `GET /v2/requests/{id}/events`: what becomes of a request, as it happens (WHATWG HTML, "Server-sent events"). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { InferqError } from "../core/errors.ts";
import { idExpiresAt, isId } from "../core/ids.ts";
import { isFinished } from "../core/request.ts";
import type { RequestStatus } from "../store/store.ts";
import { isEnd, readId } from "../wire/events.ts";
import type { GatewayContext } from "./context.ts";
import { ExpiredError } from "./errors.ts";
import type { EventHub } from "./event-hub.ts";
import { linksOf } from "./links.ts";
import { type IdPath, ownStatus } from "./own-request.ts";
import { isBehindAnother } from "./wait-wish.ts";

const PATH = /^\/v2\/requests\/([^/?]+)\/events(?:\?|$)/;

const HEAD: string[] = [
  "content-type",
  "text/event-stream; charset=utf-8", // for clients that take any other text for Latin-1
  "cache-control",
  "no-store",
  "x-accel-buffering", // of nginx, which would keep events back until it has 4 KB
  "no",
];

/**
 * Opens streams before the router, whose part in each would be a tenth of its memory. Everything else (errors,
 * HEAD, browsers of other origins, what has finished, a store that must be waited for) takes the route below. It
 * answers false, having done nothing, when the request must take that one.
 */
export function openEvents(
  context: GatewayContext,
  hub: EventHub,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const viewFor = (request: IncomingMessage): RequestStatus | undefined => {
    const { method, url, headers } = request;
    if (method !== "GET" || headers.origin !== undefined) return undefined;
    const id = PATH.exec(url!)?.[1];
    const view = id === undefined ? undefined : admit(context, request, id);
    return view === undefined || view instanceof Promise || isFinished(view.status) ? undefined : view;
  };

  return (request, response) => {
    let link: string;
    let view: RequestStatus | undefined;
    try {
      view = viewFor(request);
      if (view === undefined) return false;
      link = linksOf(view.id, context.baseOf(request), context.eventTokens);
    } catch {
      return false; // it will throw again where errors are answered
    }
    begin(context, hub, view, link, request, response);
    return true;
  };
}

export function eventRoute(app: FastifyInstance, context: GatewayContext, hub: EventHub): void {
  app.get<IdPath>("/v2/requests/:id/events", async ({ raw, params }, reply) => {
    const view = await admit(context, raw, params.id);
    // An EventSource that was told the outcome comes again all the same; this answer is its end.
    const isTold = isEnd(lastIdOf(raw)) && isFinished(view.status);
    if (isTold) return reply.code(204).header("cache-control", "no-store").send();
    const link = linksOf(view.id, context.baseOf(raw), context.eventTokens);
    reply.hijack();
    begin(context, hub, view, link, raw, reply.raw);
    return reply;
  });
}

/** The request `id`, which the caller may follow: with a key of its owner's, or with a token in place of any. */
function admit(context: GatewayContext, call: IncomingMessage, id: string): RequestStatus | Promise<RequestStatus> {
  const { store, clock, eventTokens, guard } = context;
  const token = tokenOf(call);
  if (token === undefined) return ownStatus(context, call, "read", id);
  const verdict = isId(id) ? eventTokens.judge(token, id) : "none";
  if (verdict !== "good") {
    // One whose time is over was not guessed.
    throw (verdict === "none" ? guard.wrong(call) : undefined) ?? new InferqError("invalid_token");
  }
  const check = (view: RequestStatus | undefined): RequestStatus => {
    if (view !== undefined) return view;
    // The token vouches for the id: it was made here, and tells when its life ends.
    const ends = idExpiresAt(id);
    throw ends !== null && ends <= clock.now() ? new ExpiredError(id, ends) : new InferqError("unknown", { id });
  };
  const found = store.status(id);
  return found instanceof Promise ? found.then(check) : check(found);
}

/** The token of a call without a key; several are none that is good. */
function tokenOf({ url, headers }: IncomingMessage): string | undefined {
  const start = url!.indexOf("?");
  if (start === -1 || headers["x-api-key"] !== undefined || headers.authorization !== undefined) return undefined;
  const tokens = new URLSearchParams(url!.slice(start + 1)).getAll("token");
  return tokens.length > 1 ? "" : tokens[0];
}

function lastIdOf({ headers }: IncomingMessage): string {
  return readId(headers["last-event-id"]?.toString());
}

function begin(
  { identify }: GatewayContext,
  hub: EventHub,
  view: RequestStatus,
  link: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const byToken = tokenOf(request) !== undefined;
  // A token makes no other: its hour would never end.
  response.writeHead(200, byToken ? HEAD : [...HEAD, "link", link]);
  if (request.method === "HEAD") return void response.end();
  const { owner } = view;
  const mayFollow = (): boolean => identify(request, "read")?.owner === owner;
  hub.follow(view, {
    response,
    after: lastIdOf(request),
    mayFollow: byToken ? () => true : mayFollow,
    once: isBehindAnother(response),
  });
  request.rawHeaders = []; // they are in `headers` once more, and would be kept as long as it follows
  request.resume(); // a body, where there is one, is not wanted
}

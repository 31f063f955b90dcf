/** `GET /v2/requests/{id}/events`: what becomes of a request, as it happens (WHATWG HTML, "Server-sent events"). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
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

export function eventRoute(app: FastifyInstance, context: GatewayContext, hub: EventHub): void {
  const { store, clock, eventTokens, identify, baseOf } = context;

  /** The request that `token` was made for. What it is not good for is not told apart: it is no key. */
  const tokenStatus = (token: unknown, id: string): RequestStatus | Promise<RequestStatus> => {
    if (typeof token !== "string" || !isId(id) || !eventTokens.admits(token, id))
      throw new InferqError("invalid_token");
    const check = (view: RequestStatus | undefined): RequestStatus => {
      if (view !== undefined) return view;
      // The token proves that it was made here, and when its life ends.
      const ends = idExpiresAt(id);
      throw ends !== null && ends <= clock.now() ? new ExpiredError(id, ends) : new InferqError("unknown", { id });
    };
    const found = store.status(id);
    return found instanceof Promise ? found.then(check) : check(found);
  };

  const events = async (request: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    const { headers, raw } = request;
    const { token } = request.query as { readonly token?: unknown };
    const byToken = token !== undefined && headers["x-api-key"] === undefined && headers.authorization === undefined;
    const { id } = request.params;
    const view = await (byToken ? tokenStatus(token, id) : ownStatus(context, raw, "read", id));
    const after = readId(headers["last-event-id"]?.toString());
    // An EventSource that was told the outcome comes again all the same; this answer is its end.
    if (isEnd(after) && isFinished(view.status)) return reply.code(204).header("cache-control", "no-store").send();

    if (!byToken) reply.raw.setHeader("link", linksOf(id, baseOf(raw), eventTokens));
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, HEAD);
    if (request.method === "HEAD") return (response.end(), reply);
    raw.rawHeaders = []; // they are in `headers` once more, and would be kept as long as it follows
    raw.resume();
    const { owner } = view;
    const mayFollow = (): boolean => {
      if (byToken) return true;
      const key = identify(raw);
      return key?.owner === owner && key.scopes.includes("read");
    };
    hub.follow(view, { response, after, mayFollow, once: isBehindAnother(response) });
    return reply;
  };

  app.get<IdPath>("/v2/requests/:id/events", events);
}

const HEAD: string[] = [
  "content-type",
  "text/event-stream; charset=utf-8", // for clients that take any other text for Latin-1
  "cache-control",
  "no-store",
  "x-accel-buffering", // of nginx, which would keep events back until it has 4 KB
  "no",
];

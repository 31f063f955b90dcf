/** `GET /v2/requests`: the caller's own requests, the newest first, page by page. */
import { setImmediate as turn } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { idTime } from "../core/ids.ts";
import type { ListedRequest, ListWish, RequestPage, RequestStore } from "../store/store.ts";
import { listBody } from "../wire/own.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { cursorOf, readListQuery } from "./list-query.ts";

/** A filter that hardly anything matches is answered with what so many steps of the store found, and the cursor to go on. */
const MAX_STEPS = 100;
/** An id is made before its request is, but not longer before than any submit takes, ms. */
const SUBMIT_MS = 10 * 60_000;

export function listRoute(app: FastifyInstance, context: GatewayContext): void {
  const { store, models } = context;

  app.get("/v2/requests", async (request, reply) => {
    const { owner } = context.authenticate(request.headers);
    const query = request.query as Record<string, string>;
    const wish = { owner, ...readListQuery(query, models) };
    const { requests, next } = await fullPage(store, wish);
    const base = context.baseOf(request.raw);
    const cursor = next === null ? null : cursorOf(next);
    if (cursor !== null) {
      const further = new URLSearchParams({ ...query, cursor });
      reply.header("link", `<${base}/v2/requests?${further.toString()}>; rel="next"`);
    }
    return sendJson(reply, listBody(requests, cursor, base));
  });
}

/** Goes on where the store stopped before the page was full; others have their turn between its steps. */
async function fullPage(store: RequestStore, wish: ListWish): Promise<RequestPage> {
  const requests: ListedRequest[] = [];
  const oldest = (wish.since ?? -Infinity) - SUBMIT_MS;
  let { before } = wish;
  for (let step = 0; step < MAX_STEPS && requests.length < wish.limit; step += 1) {
    if (step > 0) await turn();
    const limit = wish.limit - requests.length;
    const { requests: found, next } = await store.list({ ...wish, ...(before !== undefined && { before }), limit });
    requests.push(...found);
    if (next === null || idTime(next) < oldest) return { requests, next: null };
    before = next;
  }
  const last = before!;
  return { requests, next: last === requests.at(-1)?.id ? last : behind(last) };
}

/** Where the store stopped lies perhaps another owner's request: of its id nothing is told but when it was made. */
function behind(id: string): string {
  return `${id.slice(0, 19)}bfff-ffffffffffff`;
}

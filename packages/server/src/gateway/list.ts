/** `GET /v2/requests`: the caller's own requests, the newest first, page by page. */
import { setImmediate as turn } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { idTime } from "../core/ids.ts";
import type { ListedRequest, ListWish, RequestPage, RequestStore } from "../store/store.ts";
import { listBody } from "../wire/own.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import { readListQuery } from "./list-query.ts";
import { cursorOf, nextLink } from "./query.ts";

/** A filter that hardly anything matches is answered with what so many steps of the store found, and the cursor to go on. */
const MAX_STEPS = 100;
/** An id is made before its request is, but not longer before than any submit takes, ms. */
const SUBMIT_MS = 10 * 60_000;
/** By so much the time in an id may be ahead of the clock, ms: of many made in one millisecond some borrow the next. */
const AHEAD_MS = 1_000;

export function listRoute(app: FastifyInstance, context: GatewayContext): void {
  const { models } = context;
  const store = { list: oneAtATime((wish: ListWish) => context.store.list(wish)) };

  app.get("/v2/requests", async (request, reply) => {
    const { owner } = context.authenticate(request.raw, "read");
    const query = request.query as Record<string, string>;
    const wish = { owner, ...readListQuery(query, models) };
    const { requests, next } = await fullPage(store, wish);
    const base = context.baseOf(request.raw);
    const cursor = next === null ? null : cursorOf(next);
    if (cursor !== null) reply.header("link", nextLink(base, "/v2/requests", query, cursor));
    return sendJson(reply, listBody(requests, cursor, base));
  });
}

/** Goes on where the store stopped before the page was full; others have their turn between its steps. */
async function fullPage(store: Pick<RequestStore, "list">, wish: ListWish): Promise<RequestPage> {
  const requests: ListedRequest[] = [];
  const oldest = (wish.since ?? -Infinity) - SUBMIT_MS;
  let before = firstBefore(wish);
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

/** Where the list begins: at the cursor, or with what was made before `until`. */
function firstBefore({ before, until }: ListWish): string | undefined {
  if (until === undefined) return before;
  const time = Math.max(0, Math.ceil(until) + AHEAD_MS)
    .toString(16)
    .padStart(12, "0");
  const bound = `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
  return before === undefined || before > bound ? bound : before;
}

/** Where the store stopped lies perhaps another owner's request: of its id nothing is told but when it was made. */
export function behind(id: string): string {
  return `${id.slice(0, 19)}bfff-ffffffffffff`;
}

/** Lists that look at many requests work through them in steps: many such lists at once hold up nobody else longer than one. */
function oneAtATime<T, R>(work: (task: T) => Promise<R>): (task: T) => Promise<R> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const done = last.then(() => work(task));
    last = done.catch(() => {});
    return done;
  };
}

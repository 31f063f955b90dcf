/** `/v2/dead-letters`: the requests that used up their attempts, listed, looked at, run once more. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { inputJson } from "../blob/stored-input.ts";
import { InferqError } from "../core/errors.ts";
import { isId } from "../core/ids.ts";
import type { DeadLetterState, Request } from "../core/request.ts";
import type { ApiKey } from "../store/keys.ts";
import type { DeadLetterWish } from "../store/store.ts";
import { deadLetterBody, deadLettersBody } from "../wire/dead-letters.ts";
import { retryBody } from "../wire/own.ts";
import type { Call } from "./auth.ts";
import { type GatewayContext, sendJson } from "./context.ts";
import type { Queued } from "./enqueue.ts";
import { drainUnread } from "./errors.ts";
import { earlier, replayOf, retryDigest } from "./idempotency.ts";
import { linksOf } from "./links.ts";
import { behind } from "./list.ts";
import { guessOf, type IdPath } from "./own-request.ts";
import { bad, cursorOf, DEFAULT_LIMIT, glimpse, nextLink, PAGE_READERS, readQuery, type Readers } from "./query.ts";
import { inNameOf } from "./replay.ts";
import type { Rerun } from "./rerun.ts";
import { keyOf } from "./submit-options.ts";

const PATH = "/v2/dead-letters";

/** Longest input that is shown, bytes. */
const SHOWN_INPUT = 1024 * 1024;

export function deadLetterRoutes(
  app: FastifyInstance,
  context: GatewayContext,
  rerun: Rerun,
  closing: () => boolean,
): void {
  const { store, models, limits, eventTokens, logger } = context;
  const readers: Readers<DeadLetterWish> = {
    model: (value) => ({ model: models.find(value)?.definition.name ?? value }),
    replayed: (value) => ({ state: asState(value) }),
    ...PAGE_READERS,
  };

  app.get(PATH, async (request, reply) => {
    const caller = callerOf(context, request.raw, "read");
    const query = request.query as Record<string, string>;
    const whose = isOperator(caller) ? {} : { owner: caller.owner };
    const page = await store.deadLetters({ limit: DEFAULT_LIMIT, ...readQuery(query, readers), ...whose });
    const { deadLetters, next } = page;
    const cursor = next === null ? null : cursorOf(next === deadLetters.at(-1)?.id ? next : behind(next));
    if (cursor !== null) reply.header("link", nextLink(context.baseOf(request.raw), PATH, query, cursor));
    return sendJson(reply, deadLettersBody(deadLetters, cursor, isOperator(caller)));
  });

  app.get<IdPath>(`${PATH}/:id`, async ({ raw, params }, reply) => {
    const caller = callerOf(context, raw, "read");
    const found = await seenBy(context, caller, params.id);
    if (found?.deadLetter == null) throw unknown(context, raw, caller, params.id);
    return sendJson(reply, await wholeBody(context, found, isOperator(caller)));
  });

  const replay = async (request: FastifyRequest<IdPath>, reply: FastifyReply): Promise<FastifyReply> => {
    if (closing()) throw new InferqError("shutting_down");
    const { raw, params, headers } = request;
    const { id: oldId } = params;
    const asked = callerOf(context, raw, "submit");
    const old = await seenBy(context, asked, oldId);
    const caller = old === undefined || !isOperator(asked) ? asked : inNameOf(old);
    limits.count(asked);
    const base = context.baseOf(raw);
    const answer = ({ id, isReplay }: Queued): FastifyReply => {
      limits.describe(asked, reply.raw);
      if (isReplay) reply.header("idempotent-replayed", "true");
      reply.header("link", linksOf(id, base, eventTokens));
      return sendJson(reply, retryBody(id, base, oldId));
    };

    // Before the dead letter is looked at, so that one whose answer was lost is told also when it is gone.
    const idempotencyKey = keyOf(headers["idempotency-key"]);
    const digest = idempotencyKey === null ? null : await retryDigest(oldId);
    const first = idempotencyKey === null ? undefined : await earlier(store, caller.owner, idempotencyKey);
    if (first?.ok === false) return answer({ id: replayOf(first, digest), isReplay: true });

    const gone = (): InferqError => unknown(context, raw, asked, oldId);
    if (old?.deadLetter == null) throw gone();
    const webhookBase = caller === asked ? base : (old.publicBase ?? base);
    const wish = { old, caller, idempotencyKey, idempotencyDigest: digest, base: webhookBase, gone };
    const queued = await rerun(wish);
    if (queued.warning !== undefined) reply.header("warning", `299 - "${queued.warning}."`);
    const about = { request: queued.id, retryOf: oldId, owner: old.owner, model: old.model, by: asked.name };
    if (!queued.isReplay) logger.info(about, "dead letter replayed");
    return answer(queued);
  };
  // Answered before a body is read: none is needed, and some clients send one.
  app.post(`${PATH}/:id/replay`, { onRequest: replay, onResponse: drainUnread }, replay);
}

/** The body that shows all of a dead letter. An input that is larger than a megabyte is left out. */
export async function wholeBody(
  { store, blobs }: Pick<GatewayContext, "store" | "blobs">,
  request: Request,
  forOperator: boolean,
): Promise<string> {
  const { input } = request;
  const size = "key" in input ? ((await blobs.head(input.key))?.size ?? Infinity) : input.json.length;
  const json = size <= SHOWN_INPUT ? ((await inputJson(input, blobs)) ?? null) : null;
  return deadLetterBody(request, await store.pastAttempts(request.id), json, forOperator);
}

/** A key of the operator's sees and replays everybody's; any other needs `scope`, for its own. */
function callerOf({ authenticate }: GatewayContext, call: Call, scope: "read" | "submit"): ApiKey {
  const caller = authenticate(call, "any");
  return isOperator(caller) ? caller : authenticate(call, scope);
}

function isOperator({ scopes }: ApiKey): boolean {
  return scopes.includes("admin");
}

async function seenBy({ store }: GatewayContext, caller: ApiKey, id: string): Promise<Request | undefined> {
  const found = isId(id) ? await store.get(id) : undefined;
  return found !== undefined && (isOperator(caller) || found.owner === caller.owner) ? found : undefined;
}

function unknown(context: GatewayContext, call: Call, caller: ApiKey, id: string): InferqError {
  const guess = isOperator(caller) ? undefined : guessOf(context, call, caller, id);
  return guess ?? new InferqError("unknown_dead_letter", { id });
}

function asState(value: string): DeadLetterState {
  if (value === "true") return "replayed";
  if (value === "false") return "open";
  throw bad(`replayed must be true or false, got ${glimpse(value)}.`);
}

/** `?partial=1`: of a text that is being made, what is there already. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { inputJson } from "../blob/stored-input.ts";
import type { Request } from "../core/request.ts";
import type { RequestStore } from "../store/store.ts";
import { partialBody } from "../wire/bodies.ts";
import type { GatewayContext } from "./context.ts";
import { type IdPath, ownRequest, ownStatus } from "./own-request.ts";
import { bad, glimpse } from "./query.ts";

const WISHES: Readonly<Record<string, boolean>> = { "1": true, true: true, "0": false, false: false };

/** Whether the call asks for the output so far. Throws `bad_request` for a wish that is neither yes nor no. */
export function partialWish(url: string): boolean {
  const start = url.indexOf("?");
  const wish = start === -1 ? null : new URLSearchParams(url.slice(start + 1)).get("partial");
  if (wish === null) return false;
  if (Object.hasOwn(WISHES, wish)) return WISHES[wish]!;
  throw bad(`partial must be 1 (or true) or 0 (or false), got ${glimpse(wish)}.`);
}

/** Refuses a call whose wish is none. */
export function checkPartial(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  partialWish(request.raw.url!);
  done();
}

/**
 * The body with the output so far, where the request runs and its output is a text; else undefined: it is answered
 * as without the wish. Throws as `ownRequest`.
 */
export async function partialAnswer(
  context: GatewayContext,
  request: FastifyRequest<IdPath>,
  read: RequestStore["get"],
): Promise<string | undefined> {
  const { params, raw } = request;
  const later = ownStatus(context, raw, "read", params.id);
  const view = later instanceof Promise ? await later : later;
  if (view.status !== "PROCESSING") return undefined;
  // Asked for in the turn of the status where the driver has both in memory: they belong together.
  const told = context.events.output(view.id);
  const output = told instanceof Promise ? await told : told;
  if (output !== undefined) return partialBody(view, output, context.baseOf(raw)); // told of texts alone
  const found = await ownRequest(context, raw, "read", params.id, read);
  const isText = found.status === "PROCESSING" && (await kindOf(found, context)) === "text";
  return isText ? partialBody(found, "", context.baseOf(raw)) : undefined;
}

/** The kind of output that a request which runs will have; undefined where its model is served no more. */
async function kindOf({ model, input }: Request, { models, blobs }: GatewayContext): Promise<string | undefined> {
  const definition = models.find(model)?.definition;
  if (definition?.outputOf === undefined) return definition?.output;
  const json = await inputJson(input, blobs);
  return json === undefined ? undefined : definition.outputOf(JSON.parse(json) as Record<string, unknown>);
}

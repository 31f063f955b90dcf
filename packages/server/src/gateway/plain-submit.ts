/**
 * The short way for the plain submit, as status-poll.ts is for the poll: a small JSON body with a good
 * key for a model that runs is read and accepted before the router, whose handling of bodies costs as
 * much as the queue does. Everything else (forms, large bodies, browsers, who waits, what is refused before its
 * body is read) takes the route in submit.ts; both end in the same `accept`.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { submitBody } from "../wire/bodies.ts";
import { type Accept, describeAccepted, type Submitted } from "./accept.ts";
import { mayUse } from "./auth.ts";
import { fieldsOf, parseJson } from "./body.ts";
import { type GatewayContext, writeAscii } from "./context.ts";
import type { Fail } from "./errors.ts";
import { linksOf } from "./links.ts";
import { submitOptions } from "./submit-options.ts";

const START = "/v2/";
const MOST_BYTES = 64 * 1024;

/** What is known before the body. */
type Head = Omit<Submitted, "fields" | "uploads">;

/** Makes the short way; it answers false, having done nothing, when the request must take the long one. */
export function plainSubmit(
  context: Pick<GatewayContext, "models" | "identify" | "baseOf" | "settings" | "eventTokens" | "limits">,
  accept: Accept,
  fail: Fail,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { models, identify, baseOf, settings, eventTokens, limits } = context;

  /** All but the body, or undefined when the request must take the long way. */
  const headOf = (request: IncomingMessage): Head | undefined => {
    if (request.method !== "POST" || !request.url!.startsWith(START) || !isPlain(request)) return undefined;
    const model = models.find(request.url!.slice(START.length));
    if (model === undefined || model.state.type === "failed") return undefined;
    const caller = identify(request, "submit");
    if (caller === undefined || !mayUse(caller, model)) return undefined;
    const options = submitOptions(request.headers, model, settings);
    const base = baseOf(request);
    if (!limits.lets(caller, model)) return undefined;
    return { caller, model, options, base, port: request.socket.localPort ?? 0 };
  };

  const submit = async (head: Head, body: Buffer, request: IncomingMessage, response: ServerResponse) => {
    try {
      const accepted = await accept({ ...head, ...fieldsOf(parseJson(body)) });
      const { id, base } = accepted;
      describeAccepted(accepted, response);
      // In one list: fields that are set on the answer one by one cost several times as much.
      const headers = ["link", linksOf(id, base, eventTokens)];
      limits.addTo(headers, head.caller);
      writeAscii(response, submitBody(id, base), headers);
    } catch (error) {
      fail(error, request, response, "/v2/:model");
    }
  };

  return (request, response) => {
    let head: Head | undefined;
    try {
      head = headOf(request);
    } catch {
      return false; // it will throw again where errors are answered
    }
    if (head === undefined) return false;
    whenRead(request, (body) => void submit(head, body, request, response));
    return true;
  };
}

function isPlain({ headers }: IncomingMessage): boolean {
  return (
    headers["content-type"] === "application/json" &&
    Number(headers["content-length"]) <= MOST_BYTES &&
    headers["content-encoding"] === undefined &&
    headers.origin === undefined &&
    headers["prefer"] === undefined
  );
}

/** Calls `take` with the whole body; never, if the client goes away before. */
function whenRead(request: IncomingMessage, take: (body: Buffer) => void): void {
  let body: Buffer | undefined;
  request.on("data", (chunk: Buffer) => (body = body === undefined ? chunk : Buffer.concat([body, chunk])));
  request.on("end", () => take(body ?? Buffer.alloc(0)));
}

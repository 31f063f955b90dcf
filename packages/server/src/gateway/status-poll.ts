/**
 * The short way for the status poll, which is most of what a server of this kind is asked. A plain
 * `GET /v2/requests/{id}/status` of one's own unfinished or completed request is answered before the
 * router, with one string and no promise; everything else (errors, HEAD, browsers, a store that must
 * be waited for) takes the route in requests.ts, which answers the same. The router alone halves the rate.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestStatus } from "../store/store.ts";
import { statusBody } from "../wire/bodies.ts";
import { type GatewayContext, writeAscii } from "./context.ts";
import { addOutlook } from "./outlook.ts";

const START = "/v2/requests/";
const END = "/status";
const ID_LENGTH = 36;
const PATH_LENGTH = START.length + ID_LENGTH + END.length;

/** Makes the short way; it answers false, having done nothing, when the request must take the long one. */
export function statusPoll(
  context: Pick<GatewayContext, "store" | "models" | "identify" | "baseOf">,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { store, identify, baseOf } = context;

  /** What the poll is about, or undefined when it must take the long way. */
  const viewFor = (request: IncomingMessage): RequestStatus | undefined => {
    const { method, url, headers } = request;
    if (method !== "GET" || url?.length !== PATH_LENGTH || headers.origin !== undefined) return undefined;
    if (headers["prefer"] !== undefined) return undefined; // it may ask to wait: wait-poll.ts
    if (!url.startsWith(START) || !url.endsWith(END)) return undefined;
    const id = url.slice(START.length, START.length + ID_LENGTH);
    const owner = identify(request, "read")?.owner;
    if (owner === undefined) return undefined;
    const view = store.status(id);
    if (view === undefined || view instanceof Promise) return undefined;
    if (view.owner !== owner || view.status === "FAILED") return undefined;
    return view;
  };

  return (request, response) => {
    let body: string;
    const headers: string[] = [];
    try {
      const view = viewFor(request);
      if (view === undefined) return false;
      body = statusBody(view, baseOf(request));
      addOutlook(context, view, headers);
    } catch {
      return false; // it will throw again where errors are answered
    }
    writeAscii(response, body, headers);
    return true;
  };
}

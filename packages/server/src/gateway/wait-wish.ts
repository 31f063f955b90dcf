/** How long a client lets one call wait for an outcome: `?wait=`, or `Prefer: wait=` (RFC 7240 §4.3). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";

const SECONDS = /^\d+(?:\.\d+)?$/;
const PREFERENCE = /^\s*wait\s*(?:[=;]|$)/i;
const PREFERRED_SECONDS = /^\s*wait\s*=\s*"?(\d+)"?\s*(?:;|$)/i;

/**
 * Seconds that the call may wait, at most `limit`; 0 where it is not to wait. The query counts where both
 * are given. Throws `bad_request` for a query that is no number; a `Prefer` that is none is ignored (RFC 7240 §2).
 */
export function waitWish({ url, headers }: IncomingMessage, limit: number): number {
  const start = url!.indexOf("?");
  const query = start === -1 ? null : new URLSearchParams(url!.slice(start + 1)).get("wait");
  if (query !== null && !SECONDS.test(query)) {
    const got = query.length > 50 ? `${query.slice(0, 50).toWellFormed()}…` : query;
    throw new InferqError("bad_request", {
      detail: `wait must be a number of seconds, such as ?wait=30, got "${got}".`,
    });
  }
  return Math.min(Number(query ?? preferred(headers["prefer"])), limit);
}

/** Refuses, before anything is done or a body is read, a call whose wish is none. */
export function checkWish(limit: number): (request: FastifyRequest, reply: FastifyReply, done: () => void) => void {
  return (request, _reply, done) => {
    waitWish(request.raw, limit);
    done();
  };
}

/** A header that came several times is one list; of a preference that did, the first counts. */
function preferred(header: string | string[] | undefined): string {
  const wait =
    header === undefined
      ? undefined
      : String(header)
          .split(",")
          .find((one) => PREFERENCE.test(one));
  return PREFERRED_SECONDS.exec(wait ?? "")?.[1] ?? "0";
}

/** Makes of a call that asks to wait one that does not. */
export function forgetWish(request: IncomingMessage): void {
  delete request.headers["prefer"];
  request.rawHeaders = []; // they are in `headers` once more, and would be kept as long as it waits
  const start = request.url!.indexOf("?");
  if (start === -1) return;
  const query = new URLSearchParams(request.url!.slice(start + 1));
  query.delete("wait");
  request.url = request.url!.slice(0, start) + (query.size === 0 ? "" : `?${query.toString()}`);
}

/**
 * Whether an earlier call on the same connection has not been answered yet (HTTP pipelining). Such a call does
 * not wait: one connection could hold as many as its client cares to send.
 */
export function isBehindAnother(response: ServerResponse): boolean {
  return response.socket === null;
}

/** Tells the client how long it was let wait: the server's limit may be less than what it asked for. */
export function tellGranted(response: ServerResponse, seconds: number): void {
  response.setHeader("preference-applied", `wait=${seconds}`);
}

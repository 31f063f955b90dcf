/**
 * The origin under which the caller reached this server, for the absolute URLs in answers: clients
 * GET them as they are (in-practice, "Submit").
 */
import type { IncomingMessage } from "node:http";
import { InferqError } from "../core/errors.ts";
import { trusting } from "./client-address.ts";

/** Answers an origin without a slash at its end. Throws `bad_host`. */
export type BaseOf = (request: IncomingMessage) => string;

/** A name or an IPv4 address, or an IPv6 address in brackets; and a port perhaps (RFC 9110 §7.2). */
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** `publicUrl` wins over everything; `X-Forwarded-*` counts only when the peer is in `trustedProxies`. */
export function baseOf(publicUrl: string | null, trustedProxies: readonly string[]): BaseOf {
  if (publicUrl !== null) {
    const { origin } = new URL(publicUrl); // a name outside ASCII in its ASCII form
    return () => origin;
  }
  const isTrusted = trustedProxies.length === 0 ? undefined : trusting(trustedProxies);
  // The last Host and its base: most callers use the same one.
  let lastHost: string | undefined;
  let lastBase = "";
  return (request) => {
    const { headers } = request;
    if (isTrusted?.(request.socket.remoteAddress) === true) {
      const host = checked(nearest(headers["x-forwarded-host"]) ?? headers.host);
      const secure = nearest(headers["x-forwarded-proto"])?.toLowerCase() === "https";
      return `${secure ? "https" : "http"}://${host}`;
    }
    if (headers.host !== lastHost || lastHost === undefined) {
      lastBase = `http://${checked(headers.host)}`;
      lastHost = headers.host;
    }
    return lastBase;
  };
}

function checked(host: string | undefined): string {
  // The second look is for what has the form and is none: port 99999, address 1.2.3.400.
  if (host === undefined || !HOST.test(host) || !URL.canParse(`http://${host}`)) throw new InferqError("bad_host");
  return host;
}

/** The first value: what the client sent to the outermost proxy. The proxies are trusted to have set it. */
function nearest(value: string | string[] | undefined): string | undefined {
  const first = (Array.isArray(value) ? value[0] : value)?.split(",", 1)[0]?.trim();
  return first === "" ? undefined : first;
}

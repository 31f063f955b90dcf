/** Connections to hosts that strangers named: made where it is allowed, and nowhere else. */
import { isIP } from "node:net";
import type * as undici from "undici";
import { judgeAddress, judgeHost } from "./address.ts";
import type { AllowPrivate } from "./address.ts";
import { hostLookup } from "./lookup.ts";
import type { Lookup } from "./lookup.ts";

export interface ConnectorSettings {
  /** Hosts that may be reached although they are not on the public internet. */
  readonly allowPrivate: AllowPrivate;
  /** Longest time from the look-up to the connection, TLS included, ms. */
  readonly timeoutMs: number;
  /** Resolves host names; `hostLookup` when absent. */
  readonly lookup?: Lookup;
}

/** The guard refuses an address; the message says why. */
export class AddressRefused extends Error {}

/**
 * A connector for undici. The address is judged as it stands in the URL or when the name is resolved, before a
 * packet leaves, and the connected socket's own address once more: whatever DNS answers next, it cannot lead
 * elsewhere. What it refuses fails with `AddressRefused`.
 */
export function guardedConnector(
  { allowPrivate, timeoutMs, lookup: resolve = hostLookup() }: ConnectorSettings,
  build: typeof undici.buildConnector,
): undici.buildConnector.connector {
  const connect = build({
    timeout: timeoutMs,
    allowH2: false,
    lookup: (hostname, options, callback) => {
      resolve(hostname, (error, found) => {
        if (error !== null) return callback(error, []);
        for (const { address } of found) {
          const refusal = judgeAddress(address, hostname, allowPrivate);
          if (refusal !== undefined) return callback(new AddressRefused(refusal), []);
        }
        if (options.all === true) return callback(null, [...found]);
        const first = found[0];
        if (first === undefined) return callback(Object.assign(new Error(), { code: "ENOTFOUND" }), []);
        callback(null, first.address, first.family);
      });
    },
  });
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, "");
    const early = judgeHost(host, allowPrivate);
    if (early !== undefined) return callback(new AddressRefused(early), null);
    connect(options, (...connected) => {
      const [error, socket] = connected;
      if (error !== null) return callback(error, null);
      const refusal = judgeAddress(socket.remoteAddress ?? "", isIP(host) === 0 ? host : "", allowPrivate);
      if (refusal === undefined) return callback(null, socket);
      socket.destroy();
      callback(new AddressRefused(refusal), null);
    });
  };
}

/** The refusal that a failed connection comes from, or undefined. */
export function refusalOf(error: unknown): string | undefined {
  if (error instanceof AddressRefused) return error.message;
  return error instanceof Error && error.cause instanceof AddressRefused ? error.cause.message : undefined;
}

/** The words for what undici, TLS and the system call the trouble. */
export function troubleOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return TROUBLES[code] ?? (/CERT|TLS|SSL|EPROTO|SIGNATURE/.test(code) ? `TLS failed (${code})` : undefined);
}

const TROUBLES: Readonly<Record<string, string>> = {
  ENOTFOUND: "its host name has no address",
  EAI_AGAIN: "its host name could not be resolved",
  ECONNREFUSED: "its host refused the connection",
  ECONNRESET: "its host broke the connection off",
  EHOSTUNREACH: "there is no way to its host",
  ENETUNREACH: "there is no way to its host",
  ETIMEDOUT: "its host did not take the connection in time",
  EPIPE: "its host broke the connection off",
  UND_ERR_SOCKET: "its host broke the connection off",
  UND_ERR_CONNECT_TIMEOUT: "its host did not take the connection in time",
};

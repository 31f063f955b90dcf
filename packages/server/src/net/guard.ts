import { Readable } from "node:stream";
import type * as undici from "undici";
import { judgeHost } from "./address.ts";
import type { AllowPrivate } from "./address.ts";
import { guardedConnector, refusalOf, troubleOf } from "./connector.ts";
import type { Lookup } from "./lookup.ts";

export interface GuardSettings {
  /** Hosts that may be reached although they are not on the public internet. */
  readonly allowPrivate: AllowPrivate;
  /** Longest time from the first look-up to the last byte, ms, all redirects together. */
  readonly timeoutMs: number;
  /** Resolves host names; `hostLookup` when absent. */
  readonly lookup?: Lookup;
}

interface FetchLimits {
  /** Most bytes that are read of the body. */
  readonly limitBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Fetches a URL that a stranger named. Only http and https, only public addresses unless allowed,
 * each redirect (five at most) judged anew. Answers the body, to be read to its end or destroyed.
 * The promise, and the body on its way, fail with `FetchFailure` or the signal's reason.
 */
export type GuardedFetch = (url: string, limits: FetchLimits) => Promise<Readable>;

/** `blocked`: the guard refuses the address. `unreachable`: it could not be read. `too_large`: more bytes than the limit. */
export type FetchFailureKind = "blocked" | "unreachable" | "too_large";

export class FetchFailure extends Error {
  readonly kind: FetchFailureKind;
  /** Host that was refused or failed, as it stood in the URL. */
  readonly host: string;

  constructor(kind: FetchFailureKind, host: string, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = "FetchFailure";
    this.kind = kind;
    this.host = host;
  }
}

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Longest time for a connection, TLS included. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A guarded fetch. No connection is kept, no proxy setting is read, no cookie or key is sent. */
export function guardedFetch(settings: GuardSettings): GuardedFetch {
  let dispatcher: undici.Agent | undefined;

  return async (address, limits) => {
    // Loaded with the first URL: many servers never need it, nor its 7 MB of memory.
    const { Agent, buildConnector, request } = await import("undici");
    dispatcher ??= new Agent({
      connect: guardedConnector(
        { ...settings, timeoutMs: Math.min(settings.timeoutMs, CONNECT_TIMEOUT_MS) },
        buildConnector,
      ),
      pipelining: 0,
      allowH2: false,
    });
    const timeout = AbortSignal.timeout(settings.timeoutMs);
    const signal = AbortSignal.any([limits.signal, timeout]);
    let url = parseUrl(address);
    let from = ""; // the host that redirected: what it leads to may have none
    for (let redirects = 0; ; redirects += 1) {
      const refusal = judgeUrl(url, settings.allowPrivate);
      if (refusal !== undefined) throw new FetchFailure("blocked", url.host || from, refusal);
      const explain = (error: unknown): unknown => {
        if (limits.signal.aborted) return limits.signal.reason;
        if (timeout.aborted) {
          return new FetchFailure("unreachable", url.host, `it took longer than ${settings.timeoutMs / 1000} s`);
        }
        return asFailure(error, url);
      };
      const answer = await request(url, {
        dispatcher,
        signal,
        headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "inferq" },
      }).catch((error: unknown) => {
        throw explain(error);
      });
      const location = answer.headers["location"];
      if (REDIRECTS.has(answer.statusCode) && typeof location === "string") {
        answer.body.on("error", ignore).destroy();
        if (redirects === MAX_REDIRECTS) {
          throw new FetchFailure("unreachable", url.host, `it redirects more than ${MAX_REDIRECTS} times`);
        }
        from = url.host;
        url = parseUrl(location, url);
        continue;
      }
      const fault = faultOf(answer, url.host, limits.limitBytes);
      if (fault !== undefined) {
        answer.body.on("error", ignore).destroy();
        throw fault;
      }
      const body = Readable.from(limited(answer.body, url.host, limits.limitBytes, explain), { objectMode: false });
      // A generator that was never read does not end its source: whoever drops the body unread closes the connection too.
      body.once("close", () => answer.body.on("error", ignore).destroy());
      return body;
    }
  };
}

/** Why `url` may not be fetched, as far as can be told without resolving its host, or undefined. */
export function judgeUrl(url: URL, allowPrivate: AllowPrivate): string | undefined {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return `only http and https are fetched, not ${url.protocol}`;
  if (url.username !== "" || url.password !== "") return "the URL carries a user name or password";
  return judgeHost(hostOf(url), allowPrivate);
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

function parseUrl(address: string, base?: URL): URL {
  const url = URL.parse(address, base?.href);
  if (url === null) throw new FetchFailure("unreachable", base?.host ?? "", "the address is not a valid URL");
  return url;
}

function faultOf(answer: undici.Dispatcher.ResponseData, host: string, limitBytes: number): FetchFailure | undefined {
  if (answer.statusCode !== 200) return new FetchFailure("unreachable", host, `${host} answered ${answer.statusCode}`);
  const encoding = answer.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    return new FetchFailure(
      "unreachable",
      host,
      `${host} sent it compressed (${String(encoding)}), which was not asked for`,
    );
  }
  if (Number(answer.headers["content-length"] ?? 0) > limitBytes) return tooLarge(host, limitBytes);
  return undefined;
}

function tooLarge(host: string, limitBytes: number): FetchFailure {
  return new FetchFailure("too_large", host, `it is larger than ${limitBytes} bytes`);
}

async function* limited(
  body: Readable,
  host: string,
  limitBytes: number,
  explain: (error: unknown) => unknown,
): AsyncGenerator<Buffer> {
  let read = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      read += chunk.length;
      if (read > limitBytes) throw tooLarge(host, limitBytes);
      yield chunk;
    }
  } catch (error) {
    throw explain(error);
  }
}

function asFailure(error: unknown, { host, hostname }: URL): FetchFailure {
  if (error instanceof FetchFailure) return error;
  const refusal = refusalOf(error);
  if (refusal !== undefined) return new FetchFailure("blocked", hostname, refusal);
  return new FetchFailure("unreachable", host, troubleOf(error) ?? `the connection to ${host} failed`, {
    cause: error,
  });
}

function ignore(): void {
  // the body of a refused answer is thrown away
}

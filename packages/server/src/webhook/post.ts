/** Sends one POST to a receiver that a stranger named, and reads of its answer what there is to know. */
import type * as undici from "undici";
import type { AllowPrivate } from "../net/address.ts";
import { guardedConnector, refusalOf, troubleOf } from "../net/connector.ts";
import type { Lookup } from "../net/lookup.ts";
import { PER_HOST } from "./room.ts";

export interface PosterSettings {
  /** Hosts that may be reached although they are not on the public internet. */
  readonly allowPrivate: AllowPrivate;
  /** Resolves host names; `hostLookup` when absent. */
  readonly lookup?: Lookup;
}

/** An answer, or the sentence that says why there was none; `ownFault`: the receiver has no part in that. */
export type Posted =
  | { readonly status: number; readonly retryAfter: string | undefined }
  | { readonly status: null; readonly error: string; readonly ownFault?: true };

/** Longest time from the look-up to the head of the answer. */
const TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Longest time that a connection is kept for the next; a receiver may ask for less, and not for more: there are as many as strangers name. */
const KEPT_MS = 4_000;
/** An answer's body is read, to no purpose but to use its connection again, up to these. Then the connection is closed. */
const BODY_BYTES = 64 * 1024;
const BODY_MS = 1_000;

/**
 * Keeps connections; each is judged when it is made. Redirects are answers like any other, no proxy setting is
 * read, no cookie kept or sent.
 */
export class Poster implements AsyncDisposable {
  readonly #settings: PosterSettings;
  #agent: undici.Agent | undefined;
  readonly #underWay = new Set<Exchange>();

  constructor(settings: PosterSettings) {
    this.#settings = settings;
  }

  /** Resolves when the exchange is over and its connection free; never rejects. Undefined: it was aborted. */
  async post(url: URL, headers: Readonly<Record<string, string>>, body: string): Promise<Posted | undefined> {
    // Loaded with the first webhook: many servers never need it, nor its 7 MB of memory.
    const { Agent, buildConnector } = await import("undici");
    this.#agent ??= new Agent({
      connect: guardedConnector({ ...this.#settings, timeoutMs: CONNECT_TIMEOUT_MS }, buildConnector),
      connections: PER_HOST,
      keepAliveTimeout: KEPT_MS,
      keepAliveMaxTimeout: KEPT_MS,
      allowH2: false,
      headersTimeout: 0, // one timer of ours is for all of it
      bodyTimeout: 0,
    });
    const exchange = new Exchange(url);
    this.#underWay.add(exchange);
    const { origin, pathname, search } = url;
    this.#agent.dispatch({ origin, path: pathname + search, method: "POST", headers, body }, exchange);
    const posted = await exchange.over;
    this.#underWay.delete(exchange);
    return posted;
  }

  /** Ends every exchange under way, as if it had not begun. */
  abort(): void {
    for (const exchange of this.#underWay) exchange.end(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort();
    await this.#agent?.destroy();
  }
}

class Exchange implements undici.Dispatcher.DispatchHandler {
  readonly #url: URL;
  readonly #over = Promise.withResolvers<Posted | undefined>();
  #controller: undici.Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout;
  #answer: Posted | undefined;
  #read = 0;
  #ended = false;

  constructor(url: URL) {
    this.#url = url;
    this.#timer = setTimeout(() => {
      this.end({ status: null, error: `The receiver did not answer within ${TIMEOUT_MS / 1000} s.` });
    }, TIMEOUT_MS);
  }

  get over(): Promise<Posted | undefined> {
    return this.#over.promise;
  }

  /** Closes the connection, if there is one. */
  end(posted: Posted | undefined): void {
    if (this.#ended) return;
    this.#settle(posted);
    this.#controller?.abort(new Error("over"));
  }

  onRequestStart(controller: undici.Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(new Error("over")); // it was given up before there was a connection
  }

  onResponseStart(
    _controller: undici.Dispatcher.DispatchController,
    status: number,
    headers: undici.Dispatcher.ResponseData["headers"],
  ): void {
    if (status < 200) return; // an answer before the answer (RFC 9110 §15.2)
    const retryAfter = headers["retry-after"];
    this.#answer = { status, retryAfter: typeof retryAfter === "string" ? retryAfter : undefined };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(this.#answer), BODY_MS);
  }

  onResponseData(_controller: undici.Dispatcher.DispatchController, chunk: Buffer): void {
    this.#read += chunk.length;
    if (this.#read > BODY_BYTES) this.end(this.#answer);
  }

  onResponseEnd(): void {
    this.#settle(this.#answer);
  }

  onResponseError(_controller: undici.Dispatcher.DispatchController, error: Error): void {
    if (!this.#ended) this.#settle(this.#answer ?? { status: null, error: this.#explain(error) });
  }

  #settle(posted: Posted | undefined): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#over.resolve(posted);
  }

  #explain(error: Error): string {
    const refusal = refusalOf(error);
    if (refusal !== undefined) {
      return `Nothing may be sent to ${this.#url.host}: ${refusal}. If it is to be allowed, start the server with INFERQ_ALLOW_PRIVATE=webhook.`;
    }
    return `The receiver could not be told: ${troubleOf(error) ?? "the connection failed"}.`;
  }
}

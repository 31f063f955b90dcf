/** Every error leaves through here: one JSON body, the code in a header, no HTML and no stack. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { InferqError } from "../core/errors.ts";
import { isHostFault } from "../core/host-faults.ts";
import { LimitError } from "./limit-error.ts";
import { errorBody, refusedBody } from "../wire/bodies.ts";
import type { Audit } from "./audit.ts";
import { RefusedKeyError } from "./auth.ts";

export const JSON_TYPE = "application/json; charset=utf-8";

/** What is still read of a body that was refused early, so that a client which is sending sees the answer. */
const DRAIN_BYTES = 16 * 1024 * 1024;
const DRAIN_MS = 5_000;
const DRAIN_LOOK_MS = 20;
/** How long whoever spoke no HTTP may take to close its side, ms. */
const LINGER_MS = 1_000;

/** Answers a request that failed; `route` names it in the log, for a path may hold the name of a file. */
export type Fail = (error: unknown, request: IncomingMessage, response: ServerResponse, route?: string) => void;

/** The request `id` was there, and expired at `at`, ms; null where that cannot be told any more. */
export class ExpiredError extends InferqError {
  readonly at: number | null;

  constructor(id: string, at: number | null) {
    super("expired", { id });
    this.at = at;
  }
}

/** Makes the answer to all errors. What has no row in the table is logged and becomes `internal`. */
export function failer(logger: Logger, audit: Pick<Audit, "refused">, limitBytes: number): Fail {
  return (error, request, response, route) => {
    const known = asInferqError(error, request, limitBytes);
    // Whoever goes away in the middle of an answer cuts it off: no fault of anybody's.
    if (known !== error && known.status >= 500 && !response.destroyed)
      logger.error({ err: error, method: request.method, route }, "an answer failed");
    if (known instanceof RefusedKeyError) audit.refused(known, request);
    sendError(known, request, response);
  };
}

/** Answers `error` in the form that the path's clients expect. */
function sendError(error: InferqError, request: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent) return void response.destroy(); // it broke in the middle: the client must not take it for whole
  if (!request.complete) drain(request, response);
  // A refused input has the form of a failed request on V2 and is a plain 400 on V1.
  const refused = error.status === 422;
  const isV2 = request.url?.startsWith("/v2/") === true;
  const body = refused && isV2 ? refusedBody(error.message) : errorBody(error.message);
  response.writeHead(refused && !isV2 ? 400 : error.status, {
    "content-type": JSON_TYPE,
    "content-length": Buffer.byteLength(body),
    "x-error-code": error.code,
    "cache-control": "no-store",
    ...(error instanceof ExpiredError && error.at !== null && { "x-expired-at": new Date(error.at).toISOString() }),
    ...(error.status === 401 && { "www-authenticate": "Bearer" }),
    ...(error.status === 415 && { "accept-encoding": "identity" }),
    ...(error.status === 503 && { "retry-after": "1" }),
    ...(error instanceof LimitError && { "retry-after": String(error.retryAfterSeconds), ...error.headers }),
  });
  response.end(body);
}

/**
 * Answers what is no HTTP at all, or came too slowly; there is no request to answer through. What came before it on
 * the connection is answered first: its client would take this answer for that one.
 */
export function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  // What comes behind is no HTTP either, and would be told once more.
  if (given.has(socket)) return;
  given.add(socket);
  whenAnswered(socket, () => refuse(error.code, socket));
}

/** Connections that have been given up. */
const given = new WeakSet<Duplex>();

/** Calls `then` when all that came whole on `socket` is answered. */
function whenAnswered(socket: Duplex, then: () => void): void {
  const answer = answerOn(socket);
  if (!answer?.req.complete) return then();
  answer.once("close", () => whenAnswered(socket, then));
}

/** The answer under way. Node tells it nowhere else; its own handler of these errors looks there too. */
function answerOn(socket: Duplex): ServerResponse | null | undefined {
  return (socket as { readonly _httpMessage?: ServerResponse | null })._httpMessage;
}

function refuse(code: string | undefined, socket: Duplex): void {
  // One that was answered before its body had come ends with its connection.
  if (!socket.writable || answerOn(socket)?.headersSent === true) return void socket.destroy();
  const known = clientError(code);
  const body = errorBody(known.message);
  socket.end(
    `HTTP/1.1 ${known.status} ${STATUS_TEXT[known.status] ?? "Bad Request"}\r\nContent-Type: ${JSON_TYPE}\r\n` +
      `X-Error-Code: ${known.code}\r\nCache-Control: no-store\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  // Node watches over it no more: after CONNECT it would be there for as long as its client likes, and hold up a stop.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function clientError(code: string | undefined): InferqError {
  if (code === "HPE_HEADER_OVERFLOW") return new InferqError("headers_too_large");
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new InferqError("request_timeout");
  return new InferqError("bad_request", { detail: "The request is not valid HTTP." });
}

function asInferqError(error: unknown, request: IncomingMessage, limitBytes: number): InferqError {
  if (error instanceof InferqError) return error;
  // Wherever on the way the disk refused: what it holds cannot be had now, and what was sent is not kept.
  if (isHostFault(error)) return new InferqError("store_unavailable", {}, { cause: error });
  const { code, statusCode, message } = (error ?? {}) as { code?: string; statusCode?: number; message?: string };
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
    case "FST_REQ_FILE_TOO_LARGE":
      return new InferqError("body_too_large", { limit: limitBytes });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new InferqError("wrong_content_type", { got: request.headers["content-type"] ?? "none" });
    case "FST_ERR_MAX_PARAM_LENGTH":
      return new InferqError("bad_request", { detail: "A part of the path is longer than any name there is here." });
    case "FST_ERR_BAD_URL":
      return new InferqError("bad_request", { detail: "The path is not validly percent-encoded." });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new InferqError("bad_request", { detail: message ?? "The request is not valid." });
  }
  return new InferqError("internal", {}, { cause: error });
}

/** Of a route that answers before a body is read: whoever sends one all the same may end it, within the limits of a refusal. */
export function drainUnread({ raw }: FastifyRequest, reply: FastifyReply, done: () => void): void {
  if (!raw.complete) drain(raw, reply.raw);
  done();
}

/** Reads on after the answer, a little and for a while; then the connection goes. */
function drain(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const limit = socket.bytesRead + DRAIN_BYTES;
  const until = performance.now() + DRAIN_MS;
  response.once("finish", () => request.resume());
  const timer = setInterval(() => {
    if (request.complete || socket.destroyed) return clearInterval(timer);
    if (socket.bytesRead < limit && performance.now() < until) return;
    clearInterval(timer);
    socket.destroy();
  }, DRAIN_LOOK_MS);
  timer.unref();
}

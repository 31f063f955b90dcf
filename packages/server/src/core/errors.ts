/**
 * Every error a client can meet: code, HTTP status, sentence. docs/errors.md is held equal to this
 * table by a test. Bodies carry the sentence; the code travels in `X-Error-Code`.
 */
interface ErrorRow {
  readonly status: number;
  /** The sentence; `{name}` is filled in by the thrower. */
  readonly sentence: string;
}

export const ERRORS = {
  // The caller's request as such (in-practice, "Errors").
  malformed_json: { status: 400, sentence: "The body is not valid JSON: {detail}." },
  malformed_multipart: { status: 400, sentence: "The body is not valid multipart/form-data: {detail}." },
  bad_host: { status: 400, sentence: "The Host header is not a valid host name." },
  bad_request: { status: 400, sentence: "{detail}" },
  missing_key: { status: 401, sentence: "Missing Authorization or x-api-key in header" },
  invalid_key: { status: 401, sentence: "Unauthorized. API key is invalid or may have expired..." },
  invalid_token: {
    status: 401,
    sentence:
      "The token is not one for the events of this request, or its time is over. Take the one in the Link header of the submit, or send a key.",
  },
  scope_missing: {
    status: 403,
    sentence: "This key lacks the scope {scope}. Take one that has it: `inferq keys create --scopes` makes them.",
  },
  model_not_allowed: {
    status: 403,
    sentence: "This key may not use the model {model}. Take one that may: `inferq keys create --models` makes them.",
  },
  unknown_route: { status: 404, sentence: "No such path: {method} {path}. See /docs for the paths there are." },
  unknown_model: { status: 404, sentence: "Model {model} not found. GET /v2/models lists the models served here." },
  unknown: { status: 404, sentence: "Request {id} not found" },
  expired: { status: 404, sentence: "Request {id} not found" },
  unknown_delivery: {
    status: 404,
    sentence: "There is no webhook of request {id}. One that asked for a webhook has it as soon as it is finished.",
  },
  unknown_dead_letter: {
    status: 404,
    sentence: "There is no dead letter {id}. A request that used up its attempts is one, until it expires.",
  },
  unknown_file: { status: 404, sentence: "File not found. Files are deleted when their request expires." },
  method_not_allowed: { status: 405, sentence: "{method} is not allowed on {path}; it takes {allowed}." },
  wrong_content_type: {
    status: 406,
    sentence: "Content-Type must be application/json or multipart/form-data, got {got}.",
  },
  already_finished: { status: 409, sentence: "Request {id} has finished: it is {status}." },
  not_finished: { status: 409, sentence: "Request {id} has not finished: it is {status}. Cancel it first, or wait." },
  idempotency_conflict: {
    status: 409,
    sentence:
      "The Idempotency-Key came before with another request ({id}). Send what was sent then, or take a new key for a new request.",
  },
  request_timeout: { status: 408, sentence: "The request was sent too slowly and was given up." },
  body_too_large: { status: 413, sentence: "The body is larger than {limit} bytes, the most that is taken here." },
  media_too_large: { status: 413, sentence: "{field} is larger than {limit} bytes, the most that is taken here." },
  wrong_content_encoding: { status: 415, sentence: "The body must come without a Content-Encoding, got {got}." },
  range_not_satisfiable: { status: 416, sentence: "The Range lies outside the file, which has {size} bytes." },
  // Limits (docs/guide/limits.md); the server's own are among its errors.
  rate_limited: {
    status: 429,
    sentence: "This key may send {limit} requests a second. Send the next in {seconds} s.",
  },
  too_many_in_flight: {
    status: 429,
    sentence: "This key may have {limit} requests unfinished at a time. Wait until one has finished, or cancel one.",
  },
  model_queue_full: {
    status: 429,
    sentence: "{limit} requests wait for the model {model}, the most that may. Try again in {seconds} s.",
  },
  too_many_failures: {
    status: 429,
    sentence:
      "Too many calls from your address came with a wrong key or named requests that are not theirs. Try again in {seconds} s.",
  },
  headers_too_large: { status: 431, sentence: "The request's headers are larger than what is taken here." },
  // A request that failed; 422 on V2 (contract, "Error Handling").
  invalid_input: { status: 422, sentence: "{detail}" },
  model_error: { status: 422, sentence: "{detail}" },
  retries_exhausted: { status: 422, sentence: "{detail}" },
  run_timeout: { status: 422, sentence: "The model ran longer than its limit of {seconds} s and was stopped." },
  start_timeout: { status: 422, sentence: "No worker was free before the time the request was to start by." },
  runner_crashed: { status: 422, sentence: "The model's process died while it ran this request: {detail}." },
  lease_lost: { status: 422, sentence: "The worker that ran this request went silent and its lease ran out." },
  cancelled: { status: 422, sentence: "The request was cancelled." },
  input_unreachable: { status: 422, sentence: "{field} could not be fetched: {detail}." },
  input_blocked: { status: 422, sentence: "{field} may not be fetched from {host}: {detail}." },
  bad_output: { status: 422, sentence: "The model answered with something that is not its kind of output: {detail}." },
  // The synchronous V1 endpoint.
  sync_run_failed: { status: 500, sentence: "{detail}" },
  sync_timeout: {
    status: 504,
    sentence: "The request {id} did not finish within {seconds} s. It lives on: GET /v2/requests/{id} tells its state.",
  },
  sync_stopped: {
    status: 504,
    sentence:
      "The server is stopping. The request {id} lives on: GET /v2/requests/{id} tells its state after the start.",
  },
  // The server.
  internal: { status: 500, sentence: "Internal server error. The server's log tells more under this request's id." },
  model_unavailable: { status: 503, sentence: "Model {model} cannot run here: {detail}." },
  store_unavailable: {
    status: 503,
    sentence: "The server's disk or store does not work now: nothing was accepted or changed. Try again.",
  },
  server_queue_full: {
    status: 503,
    sentence: "{limit} requests wait on this server, the most that may. Try again in {seconds} s.",
  },
  disk_full: {
    status: 503,
    sentence: "Fewer than {limit} bytes are free on the server's disk: it takes nothing new until there are more.",
  },
  server_busy: { status: 503, sentence: "The server holds as many large bodies as it can. Try again in a moment." },
  shutting_down: { status: 503, sentence: "The server is shutting down. Try again in a moment." },
} as const;
ERRORS satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a row in the table; what its thrower knows fills the sentence. */
export class InferqError extends Error {
  readonly code: ErrorCode;
  /** HTTP status of the row. */
  readonly status: number;

  constructor(code: ErrorCode, values: Readonly<Record<string, string | number>> = {}, options?: ErrorOptions) {
    super(sentence(code, values).toWellFormed(), options); // a client's text may end in half a character
    this.name = "InferqError";
    this.code = code;
    this.status = ERRORS[code].status;
  }
}

/** The sentence of `code` with its `{name}`s filled from `values`. */
export function sentence(code: ErrorCode, values: Readonly<Record<string, string | number>> = {}): string {
  return ERRORS[code].sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

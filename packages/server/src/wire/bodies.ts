/**
 * The V2 and V1 shapes, and nowhere else (contract, "Response Formats by Modality"): pure functions
 * from what is stored to the text of a JSON body, with exactly the contract's fields in its order.
 * URLs are made here, from keys and the base under which the caller reached the server.
 *
 * The bodies are put together as text because the status body is the hot path of the whole server,
 * and because a long text streams through the middle of its body.
 */
import type { Artifact, Request, Result, Status } from "../core/request.ts";
import { metricsJson, seconds, type Times } from "./metrics.ts";

/** What the status body needs; both the light view and the whole request have it. */
export interface StatusView extends Times {
  readonly id: string;
  readonly status: Status;
  readonly failure: { readonly message: string } | null;
}

/** A body whose middle, the text of `file` as the inside of a JSON string, is read while it is sent. */
export interface StreamedBody {
  readonly before: string;
  readonly file: Artifact;
  readonly after: string;
}

/** URL of the file under `key`. `base` is an origin without a slash at its end. */
export function fileUrl(base: string, key: string): string {
  return `${base}/files/${key}`;
}

/** Answer to an accepted submit. */
export function submitBody(id: string, base: string): string {
  return `{${submitFields(id, "QUEUED", base)}}`;
}

/** Answer to a submit that waited: its five fields with the true status, then what the result's body has beside them. */
export function submittedBody(request: Request, base: string): string | StreamedBody {
  const { id, status, result } = request;
  const start = `{${submitFields(id, status, base)},`;
  if (status === "FAILED") return `${start}${failureFields(request)}}`;
  if (status !== "COMPLETED" || result === null) return `${start}"metrics":{}}`;
  return around(start, completedFields(result, request, base));
}

function submitFields(id: string, status: Status, base: string): string {
  return (
    `"request_id":"${id}","status":"${status}","poll_url":"${base}/v1/requests/${id}",` +
    `"status_url":"${base}/v2/requests/${id}/status","response_url":"${base}/v2/requests/${id}"`
  );
}

/** Answer to `GET /v2/requests/{id}/status`; to the result's URL too while the request is unfinished. */
export function statusBody(view: StatusView, base: string): string {
  switch (view.status) {
    case "QUEUED":
    case "PROCESSING":
      return (
        `{"status":"${view.status}","request_id":"${view.id}","status_url":"${base}/v2/requests/${view.id}/status",` +
        `"response_url":"${base}/v2/requests/${view.id}","metrics":{}}`
      );
    case "COMPLETED":
      return `{"status":"COMPLETED","request_id":"${view.id}","metrics":${metricsJson(view)}}`;
    case "FAILED":
      return `{"status":"FAILED",${failureFields(view)}}`;
  }
}

/** Answer to `GET /v2/requests/{id}?partial=1` while a text is made: that without the parameter, and the text so far. */
export function partialBody(view: StatusView, output: string, base: string): string {
  const running = statusBody(view, base).slice(0, -1);
  return `${running},"output":${JSON.stringify(output)},"reasoning":null,"partial":true,"error":null}`;
}

/** An input that was refused before it became a request has the form of one that failed. */
export function refusedBody(message: string): string {
  return `{"status":"FAILED","error":${JSON.stringify(message)},"metrics":{}}`;
}

/** Answer to `GET /v2/requests/{id}` and, with HTTP 200 whatever it says, to `GET /v1/requests/{id}`. */
export function resultBody(request: Request, base: string): string | StreamedBody {
  if (request.status !== "COMPLETED" || request.result === null) return statusBody(request, base);
  return around(`{"status":"COMPLETED",`, completedFields(request.result, request, base));
}

/** Any other error (in-practice, "Errors"). */
export function errorBody(message: string): string {
  return `{"error":${JSON.stringify(message)}}`;
}

/** What cannot be done to a request in its state: the error (HTTP 409) tells which one. */
export function conflictBody(message: string, { id, status }: Pick<StatusView, "id" | "status">): string {
  return `{"error":${JSON.stringify(message)},"status":"${status}","request_id":"${id}"}`;
}

/** What the body of a failed request has behind its status. */
export function failureFields(view: Times & Pick<StatusView, "failure">): string {
  return `"error":${JSON.stringify(view.failure?.message ?? "")},"metrics":${metricsJson(view)}`;
}

/** A whole body from its start and its other fields. */
function around(start: string, fields: string | StreamedBody): string | StreamedBody {
  if (typeof fields === "string") return `${start}${fields}}`;
  return { before: start + fields.before, file: fields.file, after: `${fields.after}}` };
}

/** What the body of a completed request has behind its status. */
export function completedFields(result: Result, times: Times, base: string): string | StreamedBody {
  switch (result.kind) {
    case "image":
      return imageFields(result, times, base);
    case "video":
    case "audio": {
      const { file } = result;
      const url = JSON.stringify(fileUrl(base, file.key));
      return (
        `"${result.kind}":{"url":${url},"content_type":${JSON.stringify(file.contentType)},` +
        `"file_name":${JSON.stringify(file.fileName)},"file_size":${file.size}},"output":${url}`
      );
    }
    case "text": {
      const after = `,"reasoning":${JSON.stringify(result.reasoning)},"partial":false,"error":null`;
      if (typeof result.text === "string") return `"output":${JSON.stringify(result.text)}${after}`;
      return { before: `"output":"`, file: result.text, after: `"${after}` };
    }
  }
}

/** Sizes are strings and the seed is one too, as the document has them. With several images `output` is the first. */
function imageFields(result: Extract<Result, { kind: "image" }>, times: Times, base: string): string {
  const images = result.files.map(
    (file) =>
      `{"url":${JSON.stringify(fileUrl(base, file.key))},"content_type":${JSON.stringify(file.contentType)},` +
      `"file_size":"${file.size}"}`,
  );
  const first = result.files[0];
  return (
    `"images":[${images.join(",")}],` +
    `"output":${JSON.stringify(first === undefined ? "" : fileUrl(base, first.key))},` +
    (result.seed === undefined ? "" : `"seed":${JSON.stringify(result.seed)},`) +
    (result.prompt === undefined ? "" : `"prompt":${JSON.stringify(result.prompt)},`) +
    `"timings":{"inference":${seconds(times.inferenceMs ?? 0)}},"metrics":${metricsJson(times)}`
  );
}

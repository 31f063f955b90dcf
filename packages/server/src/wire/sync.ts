/** The JSON forms of the synchronous V1 answer (in-practice, "Synchronous V1"). */
import type { Artifact, Result } from "../core/request.ts";
import type { StreamedBody } from "./bodies.ts";
import { metricsJson, type Times } from "./metrics.ts";

/** The one file that a media result's synchronous answer carries: the first of several images. */
export function syncFile(result: Result): Artifact | undefined {
  if (result.kind === "text") return undefined;
  return result.kind === "image" ? result.files[0] : result.file;
}

/** Answer to `"base64": true`: `{"image": "<file as base64>", "status": …}`, `video` and `audio` likewise. */
export function base64Body(result: Exclude<Result, { kind: "text" }>, file: Artifact, times: Times): StreamedBody {
  const seed = result.kind === "image" && result.seed !== undefined ? `,"seed":${JSON.stringify(result.seed)}` : "";
  const prompt =
    result.kind === "image" && result.prompt !== undefined ? `,"prompt":${JSON.stringify(result.prompt)}` : "";
  const type = JSON.stringify(file.contentType);
  return {
    before: `{"${result.kind}":"`,
    file,
    after: `","status":"COMPLETED","content_type":${type}${seed}${prompt},"metrics":${metricsJson(times)}}`,
  };
}

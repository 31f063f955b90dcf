/** `POST /upload-asset`: files to name in later inputs (in-practice, "Assets"). They live as long as a request does. */
import type { FastifyInstance } from "fastify";
import { extensionOf } from "../blob/content-type.ts";
import { newBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import { idMaker } from "../core/ids.ts";
import { sniff } from "../media/media.ts";
import { decodeDataUri } from "../media/text-forms.ts";
import { fileUrl } from "../wire/bodies.ts";
import { checkContentType } from "./body.ts";
import { type GatewayContext, sendJson } from "./context.ts";

/** The prefix tells assets from requests' files: no request is looked for before an old one is deleted. */
const UPLOAD_PREFIX = "u-";

/** Files of one upload: each costs the disk an fsync or two, so a body of millions of tiny ones would keep it busy for hours. */
const MAX_FILES = 100;

export function uploadRoute(app: FastifyInstance, context: GatewayContext): void {
  const { blobs, clock, settings } = context;
  const newId = idMaker(clock);

  app.addHook("onRequest", (request, _reply, done) => {
    try {
      request.caller = context.authenticate(request.raw, "submit");
      checkContentType(request);
      context.limits.checkDisk();
      done();
    } catch (error) {
      done(error as InferqError);
    }
  });

  app.post("/upload-asset", async (request, reply) => {
    const files = dataUrls(request.body).map((url, index) =>
      decoded(url, `data_urls[${index}]`, settings.mediaLimitBytes),
    );
    const base = context.baseOf(request.raw);
    const id = UPLOAD_PREFIX + newId();
    const urls: string[] = [];
    try {
      for (const bytes of files) {
        const key = newBlobKey(id, 0, extensionOf(await sniff(bytes)));
        await blobs.put(key, { bytes });
        urls.push(fileUrl(base, key));
      }
    } catch (error) {
      await blobs.deletePrefix(`${id}/`).catch(() => undefined); // else the scan does, in the end
      throw new InferqError("store_unavailable", {}, { cause: error });
    }
    context.logger.info(
      { upload: id, owner: request.caller?.owner, key: request.caller?.name, files: urls.length },
      "assets uploaded",
    );
    const message = urls.length === 1 ? "1 file uploaded" : `${urls.length} files uploaded`;
    // Clients read one name or the other.
    return sendJson(reply, JSON.stringify({ urls, file_urls: urls, message }));
  });
}

function dataUrls(body: unknown): string[] {
  const urls = typeof body === "object" && body !== null && "data_urls" in body ? body.data_urls : undefined;
  if (!Array.isArray(urls) || urls.length === 0 || !urls.every((url) => typeof url === "string")) {
    throw new InferqError("bad_request", {
      detail: 'data_urls must be a list of data URIs, such as {"data_urls":["data:image/png;base64,…"]}.',
    });
  }
  if (urls.length > MAX_FILES) {
    const detail = `data_urls may have at most ${MAX_FILES} files, got ${urls.length}. Send the rest in further uploads.`;
    throw new InferqError("bad_request", { detail });
  }
  return urls;
}

function decoded(url: string, field: string, limit: number): Uint8Array {
  const bytes = /^data:/i.test(url) ? decodeDataUri(url, limit) : undefined;
  if (bytes === "too_large") throw new InferqError("media_too_large", { field, limit });
  if (bytes === undefined || bytes.length === 0) {
    const detail = `${field} must be a data URI with some data, such as data:image/png;base64,….`;
    throw new InferqError("bad_request", { detail });
  }
  return bytes;
}

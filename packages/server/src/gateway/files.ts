/**
 * `GET /files/{id}/{attempt}/{name}`: artifacts and uploaded assets, without a key, as the contract's
 * clients fetch them. The name has 128 random bits and is the permission. What a stranger uploaded
 * must not run in this origin, so every file comes in a sandbox and only harmless types are shown.
 */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { BlobInfo } from "../blob/blob-store.ts";
import { contentTypeOf } from "../blob/content-type.ts";
import { isBlobKey } from "../blob/key.ts";
import { InferqError } from "../core/errors.ts";
import type { GatewayContext } from "./context.ts";
import { openToAll } from "./cors.ts";
import { fileExpiry } from "./file-life.ts";

/** Types that a browser may show. SVG and HTML can hold scripts, so they are downloads. */
const SHOWN = /^(?:image\/(?!svg)|video\/|audio\/|text\/plain$|application\/json$)/;

/**
 * An origin of its own that runs nothing, frames nothing and loads nothing from elsewhere. What is allowed
 * is what the pages need that browsers make around a picture, a film or a sound that is opened directly;
 * their media request comes from the sandbox's origin, so it also needs the CORS header of `openToAll`.
 */
const POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'";

export function fileRoutes(app: FastifyInstance, context: GatewayContext): void {
  const { blobs, clock, settings } = context;

  app.get("/files/*", async (request: FastifyRequest<{ Params: { "*": string } }>, reply) => {
    const key = request.params["*"];
    // A file goes with its request, on the millisecond, whenever the sweep comes by.
    const leftMs = isBlobKey(key) ? (await fileExpiry(key, context)) - clock.now() : 0;
    const info = leftMs > 0 ? await blobs.head(key) : undefined;
    if (info === undefined) throw new InferqError("unknown_file");
    // The end of what is kept until it has been read may come nearer.
    describe(reply, info, Math.min(leftMs, settings.resultTtlSeconds * 1000));
    if (matches(request.headers["if-none-match"], info.etag)) return reply.code(304).send();
    return await sendBytes(request, reply, info);
  });

  async function sendBytes(request: FastifyRequest, reply: FastifyReply, info: BlobInfo): Promise<FastifyReply> {
    const { range } = request.headers;
    const wanted = range === undefined || staleRange(request, info) ? undefined : parseRange(range, info.size);
    if (wanted === "unsatisfiable") {
      reply.header("content-range", `bytes */${info.size}`);
      throw new InferqError("range_not_satisfiable", { size: info.size });
    }
    const { start, end } = wanted ?? { start: 0, end: info.size - 1 };
    reply.header("content-type", headerType(info.key)).header("content-length", end - start + 1);
    if (wanted !== undefined) reply.code(206).header("content-range", `bytes ${start}-${end}/${info.size}`);
    if (request.method === "HEAD") return reply.send(Readable.from([])); // a stream leaves the length as it was set
    if (info.size === 0) return reply.send("");
    const bytes = await blobs.get(info.key, { start, end });
    if (bytes === undefined) throw new InferqError("unknown_file");
    return reply.send(bytes);
  }
}

/** Headers of every answer about a file that may be kept for `keepMs`. */
function describe(reply: FastifyReply, info: BlobInfo, keepMs: number): void {
  openToAll(reply);
  reply.header("etag", info.etag).header("accept-ranges", "bytes");
  // No cache may show the file when the server does not any more.
  reply.header("cache-control", `private, max-age=${Math.floor(keepMs / 1000)}, immutable`);
  reply.header("x-content-type-options", "nosniff");
  reply.header("content-security-policy", POLICY);
  if (!SHOWN.test(contentTypeOf(info.key))) reply.header("content-disposition", "attachment");
}

/** Text is UTF-8 here, as JSON always is; without a charset browsers take plain text for windows-1252. */
function headerType(key: string): string {
  const type = contentTypeOf(key);
  return type === "text/plain" ? "text/plain; charset=utf-8" : type;
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
}

/** A range of another version of the file is no use (RFC 9110 §13.1.5); files never change, so only the tag can differ. */
function staleRange(request: FastifyRequest, info: BlobInfo): boolean {
  const condition = request.headers["if-range"];
  return condition !== undefined && condition !== info.etag;
}

/**
 * The one range that `header` asks for (RFC 9110 §14.1.2). Undefined, which means the whole file, when
 * it asks for several or is not of the form: a server may ignore Range.
 */
function parseRange(
  header: string,
  size: number,
): { readonly start: number; readonly end: number } | "unsatisfiable" | undefined {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header);
  if (found === null) return undefined;
  const [, first = "", last = ""] = found;
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

/** Bodies with a file in their middle: sent piece by piece, never whole in memory. */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { BlobStore } from "../blob/blob-store.ts";
import { InferqError } from "../core/errors.ts";
import type { StreamedBody } from "../wire/bodies.ts";
import { sendJson } from "./context.ts";
import { JSON_TYPE } from "./errors.ts";

/** Sends a body of JSON, in pieces where it has a text's file in its middle. */
export async function sendBody(reply: FastifyReply, blobs: BlobStore, body: string | StreamedBody): Promise<void> {
  if (typeof body === "string") sendJson(reply, body);
  else await sendStreamed(reply, blobs, body, "text");
}

/** Sends `body` with its file as text inside a JSON string, or as base64. Throws `unknown_file` while nothing is sent yet. */
export async function sendStreamed(
  reply: FastifyReply,
  blobs: BlobStore,
  body: StreamedBody,
  form: "text" | "base64",
): Promise<void> {
  const file = await blobs.get(body.file.key);
  if (file === undefined) throw new InferqError("unknown_file");
  const middle = form === "text" ? jsonText(file) : base64(file);
  reply.header("content-type", JSON_TYPE).header("cache-control", "no-store");
  reply.send(Readable.from(around(body.before, middle, body.after)));
}

async function* around(before: string, middle: AsyncIterable<string>, after: string): AsyncGenerator<string> {
  yield before;
  yield* middle;
  yield after;
}

/** UTF-8 text as the inside of a JSON string. The decoder never splits a character, so each piece escapes alone. */
async function* jsonText(file: Readable): AsyncGenerator<string> {
  file.setEncoding("utf8");
  for await (const piece of file) yield JSON.stringify(piece).slice(1, -1);
}

/** Base64 in pieces: three bytes make four characters, so what does not divide by three waits for the next piece. */
async function* base64(file: Readable): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of file) {
    const bytes = Buffer.concat([rest, piece as Buffer]);
    const whole = bytes.length - (bytes.length % 3);
    yield bytes.toString("base64", 0, whole);
    rest = bytes.subarray(whole);
  }
  if (rest.length > 0) yield rest.toString("base64");
}

/** What tells one medium from another, whatever form it came in. */
import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { setImmediate as turn } from "node:timers/promises";
import type { BlobSource } from "../blob/blob-store.ts";
import type { JsonSchema } from "../model/model.ts";
import { mapSources } from "./sources.ts";
import type { SourceContext } from "./sources.ts";

/** Hashed without a pause; a thread would first be given a copy, which takes longer than the hash. */
const SLICE_BYTES = 256 * 1024;

/**
 * A validated input with its media replaced by what they are: bytes by their digest, files of this server by
 * their key, other URLs by themselves. Stores nothing and looks at no file of this server, which may have
 * expired since it was named first. Rejects as `intake` does where a value is no medium.
 */
export async function identified(
  input: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
  context: SourceContext,
): Promise<Readonly<Record<string, unknown>>> {
  return await mapSources(input, schema, context, async (source) => {
    if (source instanceof URL) return { url: source.href };
    return "key" in source ? { key: source.key } : { sha256: await digestOf(source) };
  });
}

/** SHA-256 of a text in UTF-8, as hex. */
export async function textDigest(text: string): Promise<string> {
  return text.length <= SLICE_BYTES ? hash("sha256", text) : await bytesDigest(Buffer.from(text));
}

async function digestOf(source: Exclude<BlobSource, { readonly key: string }>): Promise<string> {
  if ("bytes" in source) return await bytesDigest(source.bytes);
  const digest = createHash("sha256");
  await pipeline(createReadStream(source.path), digest);
  return digest.digest("hex");
}

async function bytesDigest(bytes: Uint8Array): Promise<string> {
  const digest = createHash("sha256");
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (at > 0) await turn(); // others are served meanwhile
    digest.update(bytes.subarray(at, at + SLICE_BYTES));
  }
  return digest.digest("hex");
}

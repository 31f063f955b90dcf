import { text } from "node:stream/consumers";
import type { StoredInput } from "../core/request.ts";
import type { BlobStore } from "./blob-store.ts";

/** The JSON text of a stored input, wherever it lies; undefined where its file is gone. */
export async function inputJson(input: StoredInput, blobs: BlobStore): Promise<string | undefined> {
  if ("json" in input) return input.json;
  const file = await blobs.get(input.key);
  return file && (await text(file));
}

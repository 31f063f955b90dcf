import { join } from "node:path";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { systemClock } from "../../src/core/clock.ts";
import { idMaker } from "../../src/core/ids.ts";
import type { IntakeContext } from "../../src/media/intake.ts";
import { ownBases } from "../../src/media/sources.ts";
import { media } from "../../src/model/model.ts";
import { scratchDirectory } from "../scratch.ts";

export const newId = idMaker(systemClock());

/** One transparent pixel. */
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

/** One grey pixel. */
export const GIF = Buffer.from("R0lGODlhAQABAIAAAISEhAAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==", "base64");

/** The beginning of an MP4 file. */
export const MP4 = Buffer.from("\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41\0\0\0\x08free", "latin1");

export const SCHEMA = {
  type: "object",
  properties: {
    image: media("image/*"),
    video: media("video/*"),
    image_input: { type: "array", items: media("image/*") },
    prompt: { type: "string" },
  },
};

export interface Shop extends AsyncDisposable {
  readonly directory: string;
  readonly blobs: BlobStore;
  readonly id: string;
  /** An intake for the request `id`, with what a test wants otherwise. */
  context(wishes?: Partial<IntakeContext>): IntakeContext;
}

/** A blob store and a request whose media come in. */
export async function shop(): Promise<Shop> {
  const scratch = await scratchDirectory();
  const blobs = fsBlobStore(join(scratch.path, "files"));
  const id = newId();
  return {
    directory: scratch.path,
    blobs,
    id,
    context: (wishes = {}) => ({
      id,
      blobs,
      limitBytes: 1_000_000,
      uploads: new Map(),
      ownBases: ownBases("http://api.example:8080", "https://inferq.example", 8787),
      allowPrivate: false,
      expired: async () => false,
      ...wishes,
    }),
    [Symbol.asyncDispose]: async () => await scratch[Symbol.asyncDispose](),
  };
}

export async function bytesOf(blobs: BlobStore, key: string): Promise<Buffer> {
  return Buffer.concat(await (await blobs.get(key))!.toArray());
}

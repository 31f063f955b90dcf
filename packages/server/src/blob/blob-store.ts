/**
 * The contract of the blob store: artifacts, inputs and uploaded assets. Keys are
 * `<request or upload id>/<attempt>/<128 random bits>.<ext>`; inputs and uploads lie under attempt 0.
 */
import type { Readable } from "node:stream";

/** Bytes in memory, a file that is moved in (same file system) or copied, or another blob. */
export type BlobSource = { readonly bytes: Uint8Array } | { readonly path: string } | { readonly key: string };

export interface BlobInfo {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  /** Strong validator (RFC 9110 §8.8.3), quotes included. */
  readonly etag: string;
}

export interface BlobStore {
  /** Stores `source` under `key`; durable (file and directory fsynced) when it resolves. Where it rejects, a file lies where it lay: another put may follow. */
  put(key: string, source: BlobSource): Promise<BlobInfo>;
  /** Size and validator, or undefined. */
  head(key: string): Promise<BlobInfo | undefined>;
  /** The bytes from `start` to `end` inclusive (default all). Undefined if there is no such blob. */
  get(key: string, range?: { readonly start: number; readonly end: number }): Promise<Readable | undefined>;
  /** A local path to read the blob from, valid until the blob is deleted. Undefined if there is none. */
  localPath(key: string): Promise<string | undefined>;
  delete(key: string): Promise<void>;
  /** Deletes every blob whose key starts with `prefix`, which ends in `/`. Deleting nothing is no error. */
  deletePrefix(prefix: string): Promise<void>;
  /** The names directly under `prefix` ("" for the ids, "<id>/" for its attempts, "<id>/<attempt>/" for its files). */
  list(prefix: string): AsyncIterable<string>;
}

import type { BlobStore } from "../blob/blob-store.ts";

/** The attempts of a request that have files. Read to the end before any is deleted: no directory is held open meanwhile. */
export async function attemptsOf(id: string, blobs: BlobStore): Promise<string[]> {
  const attempts: string[] = [];
  for await (const attempt of blobs.list(`${id}/`)) attempts.push(attempt);
  return attempts;
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { blobSuite } from "../../src/testing/blob-suite.ts";
import { scratchDirectory } from "../scratch.ts";

blobSuite(async () => {
  const directory = await scratchDirectory();
  const scratch = join(directory.path, "scratch");
  await mkdir(scratch);
  return {
    blobs: fsBlobStore(join(directory.path, "files")),
    scratch,
    [Symbol.asyncDispose]: async () => await directory[Symbol.asyncDispose](),
  };
});

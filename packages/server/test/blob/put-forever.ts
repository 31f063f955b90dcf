// A server that does nothing but store files of 4 MB, and says which are stored. It is killed in the middle.
import { fsBlobStore } from "../../src/blob/fs.ts";
import { newBlobKey } from "../../src/blob/key.ts";
import { systemClock } from "../../src/core/clock.ts";
import { idMaker } from "../../src/core/ids.ts";

const blobs = fsBlobStore(process.argv[2]!);
const newId = idMaker(systemClock());

async function putForever(): Promise<never> {
  for (;;) {
    const key = newBlobKey(newId(), 1, "bin");
    await blobs.put(key, { bytes: Buffer.alloc(4 * 1024 * 1024, 7) });
    process.stdout.write(`${key}\n`);
  }
}

await Promise.all([putForever(), putForever(), putForever()]);

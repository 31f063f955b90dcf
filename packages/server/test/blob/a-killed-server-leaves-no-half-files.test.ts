import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { scratchDirectory } from "../scratch.ts";

it("after kill -9 every key names a whole file, and the next start removes the rest", async () => {
  await using directory = await scratchDirectory();
  const root = join(directory.path, "files");
  const stored = await putUntilKilled(root, 6);
  const left = await readdir(join(root, ".staging"));
  expect(left.length, "the kill came in the middle of a put").toBeGreaterThan(0);

  const blobs = fsBlobStore(root);
  expect(await readdir(join(root, ".staging"))).toEqual([]);
  for (const key of stored) expect((await blobs.head(key))?.size).toBe(4 * 1024 * 1024);
  for await (const id of blobs.list("")) {
    for await (const name of blobs.list(`${id}/1/`)) {
      expect((await blobs.head(`${id}/1/${name}`))?.size).toBe(4 * 1024 * 1024);
    }
  }
});

/** Starts a server that stores files, kills it in the middle of one once `count` are stored, and answers their keys. */
async function putUntilKilled(root: string, count: number): Promise<string[]> {
  const script = join(import.meta.dirname, "put-forever.ts");
  const child = spawn(process.execPath, ["--conditions=@inferq/source", script, root], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const stored: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    stored.push(line);
    if (stored.length === count) await killInTheMiddle(child, join(root, ".staging"));
  }
  await closed;
  return stored;
}

/** Holds the process still until it is caught with a file half-written, and kills it there. */
async function killInTheMiddle(child: ChildProcess, staging: string): Promise<void> {
  for (;;) {
    child.kill("SIGSTOP");
    if ((await readdir(staging)).length > 0) break;
    child.kill("SIGCONT");
  }
  child.kill("SIGKILL");
}

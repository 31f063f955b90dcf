import { readdir, stat, symlink, writeFile } from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { newBlobKey } from "../../src/blob/key.ts";
import { systemClock } from "../../src/core/clock.ts";
import { idMaker } from "../../src/core/ids.ts";
import { scratchDirectory } from "../scratch.ts";

const newId = idMaker(systemClock());
const otherFileSystem =
  existsSync("/dev/shm") && statSync("/dev/shm").dev !== statSync(tmpdir()).dev ? "/dev/shm" : undefined;

it("a link that leads to another file is refused, and so is a directory", async () => {
  await using directory = await scratchDirectory();
  const blobs = fsBlobStore(join(directory.path, "files"));
  const secret = join(directory.path, "secret.txt");
  await writeFile(secret, "not the model's to publish");
  await symlink(secret, join(directory.path, "out.txt"));
  const key = newBlobKey(newId(), 1, "txt");
  await expect(blobs.put(key, { path: join(directory.path, "out.txt") })).rejects.toThrow("not a regular file");
  await expect(blobs.put(key, { path: directory.path })).rejects.toThrow("not a regular file");
  expect(await blobs.head(key)).toBeUndefined();
});

it("a moved file is the same file, not a copy", async () => {
  await using directory = await scratchDirectory();
  const blobs = fsBlobStore(join(directory.path, "files"));
  const made = join(directory.path, "out.mp4");
  await writeFile(made, "video");
  const { ino } = await stat(made);
  const key = newBlobKey(newId(), 1, "mp4");
  await blobs.put(key, { path: made });
  expect((await stat((await blobs.localPath(key))!)).ino).toBe(ino);
});

it("a blob put from another blob shares its bytes on disk", async () => {
  await using directory = await scratchDirectory();
  const blobs = fsBlobStore(join(directory.path, "files"));
  const [first, second] = [newBlobKey(newId(), 1, "png"), newBlobKey(newId(), 0, "png")];
  await blobs.put(first, { bytes: Buffer.from("pixels") });
  await blobs.put(second, { key: first });
  expect((await stat((await blobs.localPath(second))!)).ino).toBe((await stat((await blobs.localPath(first))!)).ino);
});

it.skipIf(otherFileSystem === undefined)(
  "a file from another file system is copied in, and its original removed (skipped where /dev/shm is no file system of its own)",
  async () => {
    await using elsewhere = await scratchDirectory(otherFileSystem);
    await using directory = await scratchDirectory();
    const blobs = fsBlobStore(join(directory.path, "files"));
    const made = join(elsewhere.path, "out.txt");
    await writeFile(made, "made in memory");
    const key = newBlobKey(newId(), 1, "txt");
    expect((await blobs.put(key, { path: made })).size).toBe(14);
    expect(await readdir(elsewhere.path)).toEqual([]);
  },
);

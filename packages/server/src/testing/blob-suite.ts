import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BlobStore } from "../blob/blob-store.ts";
import { newBlobKey } from "../blob/key.ts";
import { systemClock } from "../core/clock.ts";
import { idMaker } from "../core/ids.ts";

/** A blob store that holds nothing yet, and an empty directory to hand files in from. Disposed of after each test. */
export interface BlobFixture extends AsyncDisposable {
  readonly blobs: BlobStore;
  readonly scratch: string;
}

const newId = idMaker(systemClock());

/** What every driver of the blob store must do. A driver's test calls it with a way to open one. */
export function blobSuite(open: () => Promise<BlobFixture>): void {
  describe("what is put", () => {
    it("is read back byte for byte, with its size and a strong validator", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 1, "bin");
      const info = await fixture.blobs.put(key, { bytes: Buffer.from("0123456789") });
      expect(info).toMatchObject({ key, size: 10 });
      expect(info.etag).toMatch(/^"[^"]+"$/);
      expect(Math.abs(Date.now() - info.modifiedAt)).toBeLessThan(60_000);
      expect(await fixture.blobs.head(key)).toEqual(info);
      expect(await textOf(fixture.blobs, key)).toBe("0123456789");
    });

    it("may be empty", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 0, "txt");
      expect((await fixture.blobs.put(key, { bytes: new Uint8Array(0) })).size).toBe(0);
      expect(await textOf(fixture.blobs, key)).toBe("");
    });

    it("may be a file, which is moved in", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 1, "txt");
      const path = join(fixture.scratch, "made-by-a-model.txt");
      await writeFile(path, "from a file");
      await fixture.blobs.put(key, { path });
      expect(await textOf(fixture.blobs, key)).toBe("from a file");
      await expect(readFile(path)).rejects.toMatchObject({ code: "ENOENT" });
    });

    it("may be another blob, and outlives it", async () => {
      await using fixture = await open();
      const [first, second] = [newBlobKey(newId(), 1, "txt"), newBlobKey(newId(), 0, "txt")];
      await fixture.blobs.put(first, { bytes: Buffer.from("shared") });
      await fixture.blobs.put(second, { key: first });
      await fixture.blobs.delete(first);
      expect(await fixture.blobs.head(first)).toBeUndefined();
      expect(await textOf(fixture.blobs, second)).toBe("shared");
    });

    it("is refused, and nothing appears, when its source is not there", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 1, "txt");
      await expect(fixture.blobs.put(key, { path: join(fixture.scratch, "absent") })).rejects.toThrow("ENOENT");
      await expect(fixture.blobs.put(key, { key: newBlobKey(newId(), 1, "txt") })).rejects.toThrow("ENOENT");
      expect(await fixture.blobs.head(key)).toBeUndefined();
      expect(await namesOf(fixture.blobs, "")).toEqual([]);
    });

    it("has a local path that a model can read", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 0, "txt");
      expect(await fixture.blobs.localPath(key)).toBeUndefined();
      await fixture.blobs.put(key, { bytes: Buffer.from("readable") });
      expect(await readFile((await fixture.blobs.localPath(key))!, "utf8")).toBe("readable");
    });
  });

  describe("what is read", () => {
    it("can be a range, both ends counted", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 1, "bin");
      await fixture.blobs.put(key, { bytes: Buffer.from("0123456789") });
      expect(await textOf(fixture.blobs, key, { start: 0, end: 0 })).toBe("0");
      expect(await textOf(fixture.blobs, key, { start: 3, end: 6 })).toBe("3456");
      expect(await textOf(fixture.blobs, key, { start: 8, end: 9 })).toBe("89");
    });

    it("is undefined when there is no such blob", async () => {
      await using fixture = await open();
      const key = newBlobKey(newId(), 1, "bin");
      expect(await fixture.blobs.get(key)).toBeUndefined();
      expect(await fixture.blobs.head(key)).toBeUndefined();
    });
  });

  describe("what is deleted", () => {
    it("is gone, and deleting it again is no error", async () => {
      await using fixture = await open();
      const id = newId();
      const [kept, gone] = [newBlobKey(id, 1, "txt"), newBlobKey(id, 1, "txt")];
      for (const key of [kept, gone]) await fixture.blobs.put(key, { bytes: Buffer.from(key) });
      await fixture.blobs.delete(gone);
      await fixture.blobs.delete(gone);
      expect(await fixture.blobs.get(gone)).toBeUndefined();
      expect(await textOf(fixture.blobs, kept)).toBe(kept);
    });

    it("can be one attempt, or all of an id, and never a neighbour", async () => {
      await using fixture = await open();
      const [id, neighbour] = [newId(), newId()];
      const keys = [newBlobKey(id, 1, "txt"), newBlobKey(id, 10, "txt"), newBlobKey(neighbour, 1, "txt")];
      for (const key of keys) await fixture.blobs.put(key, { bytes: Buffer.from("x") });
      await fixture.blobs.deletePrefix(`${id}/1/`);
      expect(await namesOf(fixture.blobs, `${id}/`)).toEqual(["10"]);
      await fixture.blobs.deletePrefix(`${id}/`);
      expect(await namesOf(fixture.blobs, "")).toEqual([neighbour]);
      await fixture.blobs.deletePrefix(`${id}/`);
      await fixture.blobs.deletePrefix(`${newId()}/0/`);
    });

    it("leaves no empty directory in the lists", async () => {
      await using fixture = await open();
      const [byKey, byAttempt] = [newBlobKey(newId(), 1, "txt"), newBlobKey(newId(), 1, "txt")];
      for (const key of [byKey, byAttempt]) await fixture.blobs.put(key, { bytes: Buffer.from("x") });
      await fixture.blobs.delete(byKey);
      await fixture.blobs.deletePrefix(byAttempt.slice(0, byAttempt.lastIndexOf("/") + 1));
      expect(await namesOf(fixture.blobs, "")).toEqual([]);
    });

    it("does not harm what is put beside it at the same time", async () => {
      await using fixture = await open();
      const replaceOne = async (id: string): Promise<void> => {
        for (let round = 0; round < 10; round += 1) {
          const [old, next] = [newBlobKey(id, 1, "txt"), newBlobKey(id, 1, "txt")];
          await fixture.blobs.put(old, { bytes: Buffer.from("old") });
          await Promise.all([fixture.blobs.delete(old), fixture.blobs.put(next, { bytes: Buffer.from("next") })]);
          expect(await textOf(fixture.blobs, next)).toBe("next");
          await fixture.blobs.delete(next);
        }
      };
      const id = newId();
      await Promise.all([replaceOne(id), replaceOne(id), replaceOne(id), replaceOne(id)]);
      expect(await namesOf(fixture.blobs, "")).toEqual([]);
    });
  });

  describe("what is listed", () => {
    it("is the ids, the attempts of an id, and the files of an attempt", async () => {
      await using fixture = await open();
      const [id, other] = [newId(), `u-${newId()}`];
      const keys = [newBlobKey(id, 0, "png"), newBlobKey(id, 2, "txt"), newBlobKey(other, 1, "txt")];
      for (const key of keys) await fixture.blobs.put(key, { bytes: Buffer.from("x") });
      expect(await namesOf(fixture.blobs, "")).toEqual([id, other].sort());
      expect(await namesOf(fixture.blobs, `${id}/`)).toEqual(["0", "2"]);
      expect(await namesOf(fixture.blobs, `${id}/0/`)).toEqual([keys[0]!.split("/")[2]]);
      expect(await namesOf(fixture.blobs, `${newId()}/`)).toEqual([]);
    });
  });

  it("refuses what is no key or prefix, whatever is asked", async () => {
    await using fixture = await open();
    const { blobs } = fixture;
    for (const key of ["", "../escape", "a/b/c", `${newId()}/1/../../x.txt`, `/${newBlobKey(newId(), 1, "txt")}`]) {
      await expect(blobs.put(key, { bytes: Buffer.from("x") })).rejects.toThrow(TypeError);
      await expect(blobs.get(key)).rejects.toThrow(TypeError);
      await expect(blobs.head(key)).rejects.toThrow(TypeError);
      await expect(blobs.localPath(key)).rejects.toThrow(TypeError);
      await expect(blobs.delete(key)).rejects.toThrow(TypeError);
    }
    for (const prefix of ["", "/", "../", newId(), `${newId()}/1`, `${newId()}/../`]) {
      await expect(blobs.deletePrefix(prefix)).rejects.toThrow(TypeError);
    }
  });
}

async function textOf(blobs: BlobStore, key: string, range?: { start: number; end: number }): Promise<string> {
  const body = await blobs.get(key, range);
  return Buffer.concat(await body!.toArray()).toString();
}

async function namesOf(blobs: BlobStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of blobs.list(prefix)) names.push(name);
  return names.sort();
}

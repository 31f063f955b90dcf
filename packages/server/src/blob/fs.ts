import { constants, existsSync, mkdirSync, rmSync } from "node:fs";
import { copyFile, link, lstat, open, opendir, rename, rm, rmdir, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { randomToken } from "../core/ids.ts";
import type { BlobInfo, BlobSource, BlobStore } from "./blob-store.ts";
import { makeDirectory } from "./make-directory.ts";
import { isBlobKey, isBlobPrefix, KEY_LEVELS } from "./key.ts";
import { syncDirectoryNow } from "./sync-directory.ts";

/** Where blobs are written before they have their name. No id begins with a dot. */
const STAGING = ".staging";

/**
 * The blob store in the directory at `location`: `<location>/<id>/<attempt>/<name>`. One server owns the directory
 * (the lock on its data directory says so), and what a killed one left half-written is removed here.
 *
 * Every blob is written under another name, fsynced, and renamed, so that a key names either the
 * whole blob or nothing; then its directories are fsynced, so that it is still there after a power loss.
 */
export function fsBlobStore(location: string): BlobStore {
  const directory = resolve(location);
  const staging = join(directory, STAGING);
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  syncDirectoryNow(dirname(directory)); // so that a new store is still there after a power loss

  const pathOf = (key: string): string => {
    if (!isBlobKey(key)) throw new TypeError(`Not a blob key: ${JSON.stringify(key.slice(0, 100))}`);
    return join(directory, key);
  };

  async function put(key: string, source: BlobSource): Promise<BlobInfo> {
    const target = pathOf(key);
    const staged = join(staging, randomToken());
    try {
      await stage(source, staged);
      await moveInto(staged, target);
      await syncDirectories(target);
    } catch (error) {
      // It goes back under the name that it had. Where it was copied it is there still, and the copy may be half of it.
      if ("path" in source && !existsSync(source.path)) await renameFirst([target, staged], source.path);
      await rm(staged, { force: true }).catch(() => undefined); // the next start empties the directory
      throw error;
    }
    if ("path" in source) await orUndefined(unlink(source.path)); // there where it was copied
    return infoOf(key, await stat(target));
  }

  /**
   * All three each time: another put may have made a directory and not have fsynced it yet.
   * The first of them commits the file system's journal; the others find nothing left to do.
   */
  async function syncDirectories(target: string): Promise<void> {
    for (let parent = dirname(target); parent.length >= directory.length; parent = dirname(parent)) {
      await syncDirectory(parent);
    }
  }

  async function stage(source: BlobSource, staged: string): Promise<void> {
    if ("bytes" in source) return await writeFile(staged, source.bytes, { flag: "wx", flush: true });
    if ("path" in source) return await take(source.path, staged);
    const from = pathOf(source.key);
    try {
      await link(from, staged); // blobs never change, so two keys may share the bytes
    } catch (error) {
      if (codeOf(error) === "ENOENT") throw error;
      await copyDurably(from, staged); // a file system without hard links, or one with too many
    }
  }

  async function head(key: string): Promise<BlobInfo | undefined> {
    const found = await orUndefined(stat(pathOf(key)));
    return found === undefined ? undefined : infoOf(key, found);
  }

  async function get(
    key: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Readable | undefined> {
    const file = await orUndefined(open(pathOf(key)));
    return file?.createReadStream(range === undefined ? {} : { start: range.start, end: range.end });
  }

  async function localPath(key: string): Promise<string | undefined> {
    const path = pathOf(key);
    return (await orUndefined(stat(path))) === undefined ? undefined : path;
  }

  async function deleteOne(key: string): Promise<void> {
    const path = pathOf(key);
    await orUndefined(unlink(path));
    await removeEmpty(dirname(path), directory);
  }

  async function deletePrefix(prefix: string): Promise<void> {
    if (!isBlobPrefix(prefix))
      throw new TypeError(`Not a prefix of blob keys: ${JSON.stringify(prefix.slice(0, 100))}`);
    const path = join(directory, prefix.slice(0, -1));
    if ((await orUndefined(lstat(path))) === undefined) return;
    // Again where somebody puts a blob into a directory that is just being removed.
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 });
    await removeEmpty(dirname(path), directory);
  }

  async function* list(prefix: string): AsyncIterable<string> {
    if (prefix !== "" && !isBlobPrefix(prefix)) {
      throw new TypeError(`Not a prefix of blob keys: ${JSON.stringify(prefix.slice(0, 100))}`);
    }
    const names = KEY_LEVELS[prefix.split("/").length - 1]!;
    const entries = await orUndefined(opendir(join(directory, prefix)));
    if (entries === undefined) return;
    for await (const entry of entries) if (names.test(entry.name)) yield entry.name;
  }

  return { put, head, get, localPath, delete: deleteOne, deletePrefix, list };
}

/** Moves the file at `path` in, or copies it where the file systems differ. Only a regular file: no link that leads elsewhere. */
async function take(path: string, staged: string): Promise<void> {
  if (!(await lstat(path)).isFile()) throw new TypeError(`${path} is not a regular file`);
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await rename(path, staged);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
    await copyDurably(path, staged);
  }
}

/** Renames to `path` the first of `names` that can be. */
async function renameFirst(names: readonly string[], path: string): Promise<void> {
  for (const name of names) {
    try {
      return await rename(name, path);
    } catch {
      // Not there, or on another file system.
    }
  }
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  const file = await open(to, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What a directory that is removed while it is being made looks like: Node's recursive mkdir tells it as ENOTDIR or EEXIST too. */
const REMOVED_MEANWHILE: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENOTDIR", "EEXIST"]);

/** Gives the staged file its name. Somebody may be removing the directory just then because it was empty: make it again. */
async function moveInto(staged: string, target: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await makeDirectory(dirname(target));
      await rename(staged, target);
      // rename does nothing when both names are links to one file (rename(2)): then the staged one is still there.
      return await rm(staged, { force: true });
    } catch (error) {
      if (!REMOVED_MEANWHILE.has(codeOf(error)) || tries === 5) throw error;
    }
  }
}

/** Removes `path` and the directories above it, up to `root` exclusive, while they are empty. */
async function removeEmpty(path: string, root: string): Promise<void> {
  for (let current = path; current.length > root.length; current = dirname(current)) {
    try {
      await rmdir(current);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") return; // not empty, or somebody else is at it
    }
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return; // directories cannot be fsynced there
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function infoOf(key: string, found: { readonly size: number; readonly mtimeMs: number }): BlobInfo {
  const name = key.slice(key.lastIndexOf("/") + 1, key.lastIndexOf("."));
  return { key, size: found.size, modifiedAt: found.mtimeMs, etag: `"${name}-${found.size}"` };
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

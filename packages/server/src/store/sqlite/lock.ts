import { accessSync, constants, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { syncDirectoryNow } from "../../blob/sync-directory.ts";
import { openingFault } from "./faults.ts";

const SQLITE_BUSY = 5;

/**
 * Makes the data directory this process's own until the answer is called or the process ends,
 * however it ends: the kernel frees the lock of an open transaction, where a pid file would stay.
 * Throws one sentence for people where the directory is taken or cannot be written.
 */
export function lockDirectory(directory: string): () => void {
  try {
    makeDirectory(resolve(directory));
    const file = join(directory, "lock.db");
    const db = new DatabaseSync(file, { timeout: 0 });
    try {
      // SQLite opens what it may not write for reading, and then says nothing until the first write.
      accessSync(directory, constants.W_OK);
      accessSync(file, constants.W_OK);
      db.exec("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    } catch (error) {
      db.close();
      throw error;
    }
    return () => db.close();
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new Error(
        `The data directory ${directory} is in use by another inferq server. Stop that one, or use another directory.`,
        {
          cause: error,
        },
      );
    }
    if ((error as { errcode?: number }).errcode !== undefined) {
      throw new Error(openingFault(join(directory, "lock.db"), error), { cause: error });
    }
    throw new Error(
      `The data directory ${directory} cannot be written: ${(error as Error).message}. Let this user write it, or use another directory.`,
      { cause: error },
    );
  }
}

/** Makes `directory`, if it is missing, and its name durable: a power loss must not take it with all that is in it. */
function makeDirectory(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 }) ?? directory;
  for (let made = directory; made.length >= first.length; made = dirname(made)) {
    try {
      syncDirectoryNow(dirname(made));
    } catch (error) {
      // Where others may not look into the directory above, whoever made this one there has seen to its name.
      if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    }
  }
}

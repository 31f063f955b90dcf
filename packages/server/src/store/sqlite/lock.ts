import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeDataDirectory } from "./data-directory.ts";
import { openingFault } from "./faults.ts";

const SQLITE_BUSY = 5;

/**
 * Makes the data directory this process's own until the answer is called or the process ends,
 * however it ends: the kernel frees the lock of an open transaction, where a pid file would stay.
 * Throws one sentence for people where the directory is taken or cannot be written.
 */
export function lockDirectory(directory: string): () => void {
  try {
    makeDataDirectory(directory);
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

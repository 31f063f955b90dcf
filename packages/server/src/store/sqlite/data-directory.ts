import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { syncDirectoryNow } from "../../blob/sync-directory.ts";

/**
 * Makes the data directory at `path` if it is missing. What is in it outlives a power loss only when its own name
 * does, which is its parent's to keep; so the parent is fsynced every time, for whoever made the directory may have
 * lost the power before it did that.
 */
export function makeDataDirectory(path: string): void {
  const directory = resolve(path);
  const topmost = mkdirSync(directory, { recursive: true, mode: 0o700 }) ?? directory;
  for (let made = directory; ; made = dirname(made)) {
    keepName(made);
    if (made === topmost) return;
  }
}

function keepName(directory: string): void {
  try {
    syncDirectoryNow(dirname(directory));
  } catch (error) {
    // A parent that this user may not read cannot be fsynced by it: whoever made the directory there has to.
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
  }
}

import { closeSync, constants, fsyncSync, openSync } from "node:fs";

/** Makes the names in the directory at `path` durable: what is made there is still there after a power loss. */
export function syncDirectoryNow(path: string): void {
  if (process.platform === "win32") return; // directories cannot be fsynced there
  const handle = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

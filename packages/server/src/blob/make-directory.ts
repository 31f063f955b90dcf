import { mkdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes the directory at `path`, and those above it, unless they are there. Node's recursive mkdir tells of a disk
 * that is read-only, or whose quota is used up, as ENOENT: here it is told as what it is.
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    for (const each of [dirname(path), path]) await mkdir(each).catch(unlessThere);
  }
}

/** The same at once, for whoever cannot wait. */
export function makeDirectoryNow(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    for (const each of [dirname(path), path]) {
      try {
        mkdirSync(each);
      } catch (again) {
        unlessThere(again);
      }
    }
  }
}

function unlessThere(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}

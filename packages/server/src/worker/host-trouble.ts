/** When the machine cannot work: whether it can again, and what is worth waiting for until it can. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { isOutOfRoom } from "../core/host-faults.ts";

/** What a disk must take to count as working again, bytes: more than the scraps that are left when one runs full. */
const TRIED_BYTES = 1024 * 1024;

/** Waits between tries to write, ms; doubling from the first to the last, which repeats. */
const TRY_MS = [100, 2_000] as const;

/** Whether `directory` takes files. It leaves none there. */
export async function takesFiles(directory: string): Promise<boolean> {
  const path = join(directory, ".try");
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(path, Buffer.alloc(TRIED_BYTES), { flush: true });
    return true;
  } catch {
    return false;
  } finally {
    await rm(path, { force: true }).catch(() => undefined);
  }
}

/**
 * Answers what `write` does, which is tried again while there is no room for it: what a run has made must not be
 * made once more because a disk was full. `onTrouble` hears of each failure. Rejects when `signal` aborts, and
 * with whatever else goes wrong: also with what an fsync refused, for it may answer well the next time and have lost the data.
 */
export async function whenThereIsRoom<T>(
  write: () => Promise<T>,
  signal: AbortSignal,
  onTrouble: (error: unknown) => void,
): Promise<T> {
  const [first, longest] = TRY_MS;
  for (let waitMs: number = first; ; waitMs = Math.min(waitMs * 2, longest)) {
    try {
      return await write();
    } catch (error) {
      if (!isOutOfRoom(error) || (error as NodeJS.ErrnoException).syscall === "fsync") throw error;
      onTrouble(error);
    }
    await wait(waitMs, undefined, { signal });
  }
}

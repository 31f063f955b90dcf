/** Looks now and then whether the disk of the data directory has room left: nobody's submit waits for the answer. */
import { statfs } from "node:fs/promises";
import type { Logger } from "pino";
import type { DiskState } from "../gateway/options.ts";

const LOOK_EVERY_MS = 1_000;

/** What `statfs` says of a path's disk; blocks that this user may fill, and their size in bytes. */
export type StatDisk = (path: string) => Promise<{ readonly bavail: number; readonly bsize: number }>;

export interface DiskWatch extends DiskState, Disposable {
  /** Looks at once; it does so by itself every second. */
  look(): Promise<void>;
}

/** Full is a disk of which fewer than `reserveBytes` are free. Where that cannot be told it counts as not full: what cannot be written is refused then. */
export async function watchDisk(
  path: string,
  reserveBytes: number,
  logger: Logger,
  stat: StatDisk = statfs,
): Promise<DiskWatch> {
  let isFull = false;
  let isBlind = false;

  const look = async (): Promise<void> => {
    try {
      const { bavail, bsize } = await stat(path);
      const freeBytes = bavail * bsize;
      const was = isFull;
      isFull = freeBytes < reserveBytes;
      isBlind = false;
      if (isFull && !was) logger.error({ freeBytes, reserveBytes }, "the disk is full: nothing new is accepted");
      if (!isFull && was) logger.info({ freeBytes, reserveBytes }, "the disk has room again");
    } catch (err) {
      if (!isBlind) logger.warn({ err }, "it cannot be told how full the disk is");
      isBlind = true;
      isFull = false;
    }
  };

  await look();
  // The next after the last: a disk that does not answer is not asked twice.
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const goOn = (): void => {
    if (!isOver) timer = setTimeout(() => void look().then(goOn), LOOK_EVERY_MS).unref();
  };
  goOn();
  return {
    get isFull() {
      return isFull;
    },
    look,
    [Symbol.dispose]() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}

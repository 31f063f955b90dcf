/** Errors of the machine's: a full or broken disk, no more file descriptors or memory. No request is to blame for them. */

/** By these a model's own error is told too, where the disk confirms it. */
const NO_ROOM = ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EMFILE", "ENFILE"];
/** EDQUOT (a quota is used up) as Node tells it, which has no name for it: on Linux and on BSDs. */
const QUOTA = ["Unknown system error -122", "Unknown system error -69"];

const FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", ...QUOTA]);
const ROOM: ReadonlySet<unknown> = new Set([...NO_ROOM, ...QUOTA]);
const FAULTS: ReadonlySet<unknown> = new Set([...NO_ROOM, ...QUOTA, "EACCES", "EPERM", "ENOMEM"]);

/** Whether this machine cannot do now what it did before, and may again. */
export function isHostFault(error: unknown): boolean {
  return FAULTS.has(codeOf(error));
}

/** Whether files cannot be written or opened at all. */
export function isOutOfRoom(error: unknown): boolean {
  return ROOM.has(codeOf(error));
}

/** Whether a disk is full: the one such fault that a request can be the reason of. */
export function isDiskFull(error: unknown): boolean {
  return FULL.has(codeOf(error));
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as { readonly code?: unknown }).code : undefined;
}

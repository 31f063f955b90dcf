/** What the shim wrote down: the changes of a directory, in the order in which they took effect. */

/** As `enum operation` and `struct head` in shim.c. */
const NAMES = [
  "create",
  "write",
  "truncate",
  "rename",
  "link",
  "unlink",
  "rmdir",
  "mkdir",
  "sync",
  "sync-begin",
  "sync-end",
  "sync-failed",
  "chmod",
  "map",
  "other",
] as const;
const HEAD_BYTES = 40;

export interface Entry {
  readonly name: (typeof NAMES)[number];
  /** Of the file that it is about. Numbers come again once a file is gone. */
  readonly inode: number;
  /** Paths from the root; "" is the root itself. */
  readonly path: string;
  readonly to: string;
  readonly mode: number;
  /** An offset, a size, or which fsync it was. */
  readonly number: number;
  readonly data: Uint8Array;
  /** Where in the log it ends. */
  readonly end: number;
}

/** The entries of `log` from `start` on, which is where one of them starts. */
export function* entries(log: Buffer, start = 0): Generator<Entry> {
  for (let at = start; at < log.length;) {
    const [operation, mode, pathBytes, toBytes] = [0, 4, 8, 12].map((offset) => log.readUInt32LE(at + offset));
    const [inode, number, dataBytes] = [16, 24, 32].map((offset) => Number(log.readBigUInt64LE(at + offset)));
    const path = at + HEAD_BYTES;
    const to = path + pathBytes!;
    const data = to + toBytes!;
    at = data + dataBytes!;
    yield {
      name: NAMES[operation! - 1]!,
      inode: inode!,
      path: log.toString("utf8", path, to),
      to: log.toString("utf8", to, data),
      mode: mode!,
      number: number!,
      data: log.subarray(data, at),
      end: at,
    };
  }
}

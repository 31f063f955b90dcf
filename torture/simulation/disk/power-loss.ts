/**
 * What of a disk is there after a power loss: all that was fsynced, and of the rest what chance leaves.
 * POSIX says nothing of that rest, so every way is tried in which drives and file systems have been seen to lose it.
 */
import type { Random } from "../random.ts";
import type { Bytes } from "./bytes.ts";
import { applyNames, DirectoryInode, doWhole, FileInode, type FileChange, type Inode } from "./inode.ts";

/** What a drive writes whole or not at all. */
const SECTOR_BYTES = 512;

/** A change with this chance of 1 is done in part. */
const TORN = 0.15;

type Fate = "kept" | "lost" | "torn";

/** Decides what becomes of the change of that order; `luck` is its file's or directory's. */
type Judge = (order: number, luck: number) => Fate;

/** The tree under `root` as it is after a power loss, in inodes of its own. `latest`: order of the last change. */
export function afterPowerLoss(root: DirectoryInode, latest: number, random: Random): DirectoryInode {
  const judge = drawJudge(latest, random);
  const survivors = new Map<Inode, Inode>();
  /** Of renames, which two directories know. */
  const judged = new Map<number, boolean>();

  function survivor(inode: Inode): Inode {
    let found = survivors.get(inode);
    if (found === undefined) found = inode instanceof FileInode ? file(inode) : directory(inode);
    survivors.set(inode, found);
    return found;
  }

  function file(before: FileInode): FileInode {
    const luck = random.pick([0, 0.5, 0.5, 1]);
    const bytes = before.after((left, change) => {
      const fate = judge(change.order, luck);
      if (fate === "kept") doWhole(left, change);
      else if (fate === "torn") tear(left, change, random);
    });
    return new FileInode(before.number, before.changedAt, bytes);
  }

  function directory(before: DirectoryInode): DirectoryInode {
    const names = new Map(before.durable);
    const luck = random.pick([0, 0.5, 0.5, 1]);
    for (const change of before.pending) {
      let isKept = judged.get(change.order);
      if (isKept === undefined) judged.set(change.order, (isKept = judge(change.order, luck) === "kept"));
      if (isKept) applyNames(change, (each) => (each === before ? names : new Map()));
    }
    const after = new DirectoryInode(before.number, before.changedAt);
    for (const [name, inode] of names) {
      const found = survivor(inode);
      after.present.set(name, found);
      after.durable.set(name, found);
    }
    return after;
  }

  return directory(root);
}

function drawJudge(latest: number, random: Random): Judge {
  const way = random.next();
  if (way < 0.2) return () => "lost";
  if (way < 0.3) return () => "kept";
  if (way < 0.5) {
    // Written out in the order in which it was asked for, up to a moment not long ago.
    const moment = latest - Math.floor(random.next() ** 2 * 60);
    return (order) => (order < moment ? "kept" : order === moment ? "torn" : "lost");
  }
  return (_, luck) => (random.chance(TORN) ? "torn" : random.chance(luck) ? "kept" : "lost");
}

/** Writes some sectors of `change`, or only the size that the file has after it. */
function tear(bytes: Bytes, { at, bytes: written }: FileChange, random: Random): void {
  if (written === null) return;
  const end = at + written.length;
  if (random.chance(0.25)) return bytes.resize(Math.max(bytes.size, end));
  for (let start = at; start < end;) {
    const stop = Math.min(end, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (random.chance(0.5)) bytes.write(written.subarray(start - at, stop - at), start);
    start = stop;
  }
}

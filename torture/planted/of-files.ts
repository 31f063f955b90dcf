/** Bugs in which files there are, and when. */
import type { PlantedBug } from "./bug.ts";

export const OF_FILES: readonly PlantedBug[] = [
  {
    name: "settled before the artifact is on the disk",
    firstSeed: 2,
    why: "A crash leaves a completed request whose file is not there.",
    edits: [
      {
        file: "worker/result.ts",
        find: "const { size } = await openable(path, put(key, { path }));",
        replace: "const { size } = found;\n  void openable(path, put(key, { path })).catch(() => {});",
      },
    ],
  },
  {
    name: "no fsync of the blob's directory",
    firstSeed: 2,
    why: "After a power loss a file that a row names has no name.",
    edits: [{ file: "blob/fs.ts", find: "await syncDirectory(parent);", replace: "" }],
  },
  {
    name: "no fsync of the directory above a new one",
    firstSeed: 2,
    why: "After a power loss the directory of the request's files is gone, with all that was synced in it.",
    edits: [
      {
        file: "blob/fs.ts",
        find: "for (let parent = dirname(target); parent.length >= directory.length; parent = dirname(parent)) {",
        replace: "for (let parent = dirname(target); parent === dirname(target); parent = dirname(parent)) {",
      },
    ],
  },
  {
    name: "no fsync of an artifact that is moved in",
    firstSeed: 1,
    why: "After a power loss a completed request's file is empty or in part.",
    edits: [
      {
        file: "blob/fs.ts",
        find: "(constants.O_NONBLOCK ?? 0));\n  try {\n    await file.sync();",
        replace: "(constants.O_NONBLOCK ?? 0));\n  try {",
      },
    ],
  },
  {
    name: "no fsync of bytes that are written",
    firstSeed: 1,
    why: "After a power loss a large input or text is empty or in part.",
    edits: [{ file: "blob/fs.ts", find: `{ flag: "wx", flush: true }`, replace: `{ flag: "wx" }` }],
  },
  {
    name: "a refused settle that deletes the other attempts' files",
    firstSeed: 8,
    why: "A late worker takes away what the completed request names, or its input.",
    edits: [
      {
        file: "worker/worker.ts",
        find: "await blobs.deletePrefix(`${lease.id}/${lease.attempt}/`);",
        replace: "await blobs.deletePrefix(`${lease.id}/`);",
      },
    ],
  },
  {
    name: "a refused settle that leaves its files",
    firstSeed: 8,
    why: "The files of a late worker stay with the request, though no row names them.",
    edits: [
      {
        file: "worker/worker.ts",
        find: "await blobs.deletePrefix(`${lease.id}/${lease.attempt}/`);",
        replace: "",
      },
      { file: "worker/sweeper.ts", find: "if (!isNamed(attempt, status))", replace: "if (false)" },
    ],
  },
  {
    name: "a completing attempt that deletes the input's files",
    firstSeed: 2,
    why: "The input is gone while its request lives: it cannot be looked at or run again.",
    edits: [
      {
        file: "worker/worker.ts",
        find: `if (name !== "0" && name !== String(lease.attempt)) await`,
        replace: "if (name !== String(lease.attempt)) await",
      },
    ],
  },
  {
    name: "expiry that deletes the row before the files",
    firstSeed: 1,
    why: "A kill between the two leaves files that nobody may see any more.",
    edits: [
      {
        file: "worker/sweeper.ts",
        find: 'if (hasFiles) await blobs.deletePrefix(`${id}/`);\n    await store.finish(id, { type: "expire" });',
        replace: 'await store.finish(id, { type: "expire" });\n    if (hasFiles) await blobs.deletePrefix(`${id}/`);',
      },
    ],
  },
  {
    name: "expiry that forgets the files of finished requests",
    firstSeed: 1,
    why: "Files outlive their request.",
    edits: [
      {
        file: "worker/sweeper.ts",
        find: "if (hasFiles) await blobs.deletePrefix(`${id}/`);\n    await store.finish",
        replace: "if (hasFiles) await blobs.deletePrefix(`${id}/0/`);\n    await store.finish",
      },
    ],
  },
  {
    name: "scan that deletes a running attempt's files",
    firstSeed: 136,
    why: "A result that is being stored is taken for what a kill left behind.",
    edits: [{ file: "worker/sweeper.ts", find: "return attempt >= leases;", replace: "return attempt > leases;" }],
  },
  {
    name: "scan that takes a submit's files for nobody's",
    firstSeed: 5,
    why: "An input is written before its row: deleted in between, the request is accepted without it.",
    edits: [
      {
        file: "worker/sweeper.ts",
        find: "const NOBODYS_AFTER_MS = 10 * 60_000;",
        replace: "const NOBODYS_AFTER_MS = 0;",
      },
    ],
  },
];

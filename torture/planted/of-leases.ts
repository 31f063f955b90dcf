/** Bugs in who may end a run, and in what it is counted as. */
import type { PlantedBug } from "./bug.ts";

export const OF_LEASES: readonly PlantedBug[] = [
  {
    name: "fence removed",
    firstSeed: 120,
    why: "A worker that lost its lease completes the request while another runs it.",
    edits: [
      {
        file: "store/sqlite/apply.ts",
        find: "result = ? WHERE id = ? AND lease_token = ? AND expires_at > ?",
        replace: "result = ? WHERE id = ? AND (lease_token = ? OR status = 1) AND expires_at > ?",
      },
    ],
  },
  {
    name: "fence removed from all but the result",
    firstSeed: 44,
    why: "A late worker's failure or release ends the run of the one that has the lease.",
    edits: [
      {
        file: "core/transition.ts",
        find: `if ("token" in event && event.type !== "lease" && state.lease?.token !== event.token) return refuse("fenced");`,
        replace: `if ("token" in event && event.type !== "lease" && state.lease === null) return refuse("fenced");`,
      },
    ],
  },
  {
    name: "heartbeat that extends any lease",
    firstSeed: 44,
    why: "A worker that lost its lease is told that it holds, and keeps another's lease alive.",
    edits: [
      {
        file: "core/transition.ts",
        find: `"token" in event && event.type !== "lease" &&`,
        replace: `"token" in event && event.type !== "lease" && (event.type !== "heartbeat" || state.lease === null) &&`,
      },
    ],
  },
  {
    name: "token derived from the attempt",
    firstSeed: 9,
    why: "A failed commit undoes a lease whose run goes on: the next lease has its number, and nothing tells the two apart.",
    edits: [
      {
        file: "store/sqlite/sqlite-store.ts",
        find: "const token = randomToken();",
        replace: "const token = attempt.toString(16).padStart(randomToken().length, '0');",
      },
      {
        file: "store/sqlite/live-queue.ts",
        find: "if (unwritten.length > 0) await Promise.all(unwritten.map((lease) => this.#writeLate(lease)));",
        replace: "",
      },
      {
        file: "store/sqlite/live-queue.ts",
        find: "if (!index.skipAttempts(id, attempt)) this.#spent.delete(id);",
        replace: "this.#spent.delete(id);",
      },
    ],
  },
  {
    name: "number of an attempt used again after a failed commit",
    firstSeed: 42,
    why: "Two runs share a prefix of files: the one that is refused deletes what the other's result names.",
    edits: [
      {
        file: "store/sqlite/live-queue.ts",
        find: "if (unwritten.length > 0) await Promise.all(unwritten.map((lease) => this.#writeLate(lease)));",
        replace: "",
      },
      {
        file: "store/sqlite/live-queue.ts",
        find: "if (!index.skipAttempts(id, attempt)) this.#spent.delete(id);",
        replace: "this.#spent.delete(id);",
      },
    ],
  },
  {
    name: "sweep without token",
    firstSeed: 1,
    why: "A lease that was extended just before the sweep is taken from a worker that lives.",
    edits: [
      {
        file: "store/sqlite/apply.ts",
        find: `return evolve(id, { type: "lost", retries: op[4] }, now, op[3]);`,
        replace: `return evolve(id, { type: "lost", retries: op[4] }, now);`,
      },
    ],
  },
  {
    name: "running work taken for lost after a failed commit",
    firstSeed: 28,
    why: "A full disk ends what runs: the process that reads the file again is the one that holds the leases.",
    edits: [{ file: "store/sqlite/live-queue.ts", find: "this.#fresh = false;", replace: "" }],
  },
  {
    name: "an outcome that another may replace",
    firstSeed: 2,
    why: "A cancel or a late failure after the outcome makes it another one.",
    edits: [
      {
        file: "core/transition.ts",
        find: `if (isFinished(state.status)) return refuse("finished");`,
        replace: `if (isFinished(state.status) && event.type !== "cancel") return refuse("finished");`,
      },
    ],
  },
  {
    name: "crash not counted",
    firstSeed: 4,
    why: "A request that kills its process is tried for ever.",
    edits: [
      {
        file: "core/transition.ts",
        find: "crashes: state.crashes + (crash ? 1 : 0)",
        replace: "crashes: state.crashes",
      },
    ],
  },
  {
    name: "release that spends an attempt",
    firstSeed: 3,
    why: "A graceful stop takes a try away from what it gives back.",
    edits: [
      {
        file: "core/transition.ts",
        find: "return back(state, { ...state, notBefore: now }, null, now);",
        replace: "return back(state, { ...state, attempts: state.attempts + 1, notBefore: now }, null, now);",
      },
    ],
  },
  {
    name: "retry that forgets to wait",
    firstSeed: 1,
    why: "What crashed or asked for time is tried again at once, all its tries within a breath.",
    edits: [
      {
        file: "core/transition.ts",
        find: "notBefore: now + delay",
        replace: "notBefore: now",
      },
    ],
  },
  {
    name: "clean-stop mark written at start",
    firstSeed: 1,
    why: "After a kill leases are not durable before their runs: a request that takes the host down does so for ever.",
    edits: [
      {
        file: "store/sqlite/write-batches.ts",
        find: "UPDATE meta SET value = 0 WHERE name = 'clean_stop'",
        replace: "UPDATE meta SET value = 1 WHERE name = 'clean_stop'",
      },
    ],
  },
];

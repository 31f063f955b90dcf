/** Bugs in what is durable, and when it is told. */
import type { PlantedBug } from "./bug.ts";

export const OF_WRITES: readonly PlantedBug[] = [
  {
    name: "answer before commit",
    firstSeed: 3,
    why: "An answered submit is not on the disk yet when the server is killed.",
    edits: [
      {
        file: "store/sqlite/sqlite-store.ts",
        find: "const answer = await this.#commits.submit(m.enqueueOperation(submission, this.#clock.now()));",
        replace:
          "const write = this.#commits.submit(m.enqueueOperation(submission, this.#clock.now()));\n" +
          "    const answer = submission.idempotencyKey !== null ? await write : (write.catch(() => {}), true as const);",
      },
    ],
  },
  {
    name: "synchronous=OFF",
    firstSeed: 1,
    why: "No commit is synced: a power loss takes answered submits and outcomes, or the whole file.",
    edits: [{ file: "store/sqlite/schema.ts", find: "PRAGMA synchronous = FULL", replace: "PRAGMA synchronous = OFF" }],
  },
  {
    name: "synchronous=NORMAL",
    firstSeed: 1,
    why: "The log is synced at checkpoints alone: a power loss takes the commits since the last.",
    edits: [
      { file: "store/sqlite/schema.ts", find: "PRAGMA synchronous = FULL", replace: "PRAGMA synchronous = NORMAL" },
    ],
  },
  {
    name: "index changed before commit",
    firstSeed: 4,
    why: "A poll reads an outcome that a crash or a failed commit undoes.",
    edits: [
      {
        file: "store/sqlite/group-commit.ts",
        find: "const operations = this.#inFlight.map(({ operation }) => operation);",
        replace:
          "const operations = this.#inFlight.map(({ operation }) => operation);\n" +
          "      const ends = operations.filter(([kind]) => kind === 3); // COMPLETE\n" +
          "      if (ends.length > 0) this.#hooks.committed(ends.map((operation) => ({ operation, answer: true })));",
      },
    ],
  },
  {
    name: "outcome told before commit",
    firstSeed: 2,
    why: "Whoever settles is told that it counts, and cleans up what a crash would need again.",
    edits: [
      {
        file: "store/sqlite/sqlite-store.ts",
        find: "const answer = await this.#commits.submit(m.settleOperation(id, token, settlement, this.#clock.now(), retries));",
        replace:
          "const write = this.#commits.submit(m.settleOperation(id, token, settlement, this.#clock.now(), retries));\n" +
          `    const answer = settlement.type !== "complete" ? await write : (write.catch(() => {}), true as const);`,
      },
    ],
  },
  {
    name: "idempotency look-up outside the transaction",
    firstSeed: 4,
    why: "Two submits under one key that come together are two requests.",
    edits: [
      {
        file: "store/sqlite/apply.ts",
        find: "if (idempotencyKey !== null) {",
        replace: `if (idempotencyKey === "") {`,
      },
      {
        file: "store/sqlite/sqlite-store.ts",
        find: "const answer = await this.#commits.submit(m.enqueueOperation(submission, this.#clock.now()));",
        replace:
          "const { owner, idempotencyKey } = submission;\n" +
          "    if (idempotencyKey !== null) {\n" +
          "      const [first] = (await this.list({ owner, idempotencyKey, limit: 1 })).requests;\n" +
          "      const request = first && (await this.get(first.id));\n" +
          "      if (request) return { ok: false, id: request.id, idempotencyDigest: request.idempotencyDigest! };\n" +
          "    }\n" +
          "    const answer = await this.#commits.submit(m.enqueueOperation(submission, this.#clock.now()));",
      },
    ],
  },
];

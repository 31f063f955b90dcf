/** Bugs in who is told of an outcome, and how often. */
import type { PlantedBug } from "./bug.ts";

export const OF_WEBHOOKS: readonly PlantedBug[] = [
  {
    name: "outbox outside the transaction",
    firstSeed: 1,
    why: "A crash between the two writes leaves an outcome that nobody is told of.",
    edits: [
      {
        file: "store/sqlite/delivery-rows.ts",
        find: "  make(id: string, key: Uint8Array): void {\n    const row = this.#told.get(key) as unknown as Told;",
        replace:
          "  make(id: string, key: Uint8Array): void {\n    this.#later.push([id, key.slice()]);\n  }\n\n" +
          "  readonly #later: [string, Uint8Array][] = [];\n\n" +
          "  get isLate(): boolean {\n    return this.#later.length > 0;\n  }\n\n" +
          "  makeLater(): void {\n    for (const [id, key] of this.#later.splice(0)) this.#make(id, key);\n  }\n\n" +
          "  #make(id: string, key: Uint8Array): void {\n    const row = this.#told.get(key) as unknown as Told | undefined;\n" +
          "    if (row === undefined) return;",
      },
      {
        file: "store/sqlite/write-batches.ts",
        find: "      end.run();\n",
        replace:
          "      end.run();\n" +
          "      if (deliveries.isLate) {\n        begin.run();\n        deliveries.makeLater();\n        end.run();\n      }\n",
      },
    ],
  },
  {
    name: "expiry that forgets the delivery",
    firstSeed: 1,
    why: "A request that expires unfinished is gone, and who waits to be told waits for ever.",
    edits: [
      {
        file: "store/sqlite/apply.ts",
        find: "DELETE FROM requests WHERE id = ? AND (expires_at > ?2) = ? AND (expires_at > ?2 OR status > 1 OR webhook = 0)",
        replace: "DELETE FROM requests WHERE id = ? AND (expires_at > ?2) = ?",
      },
    ],
  },
  {
    name: "cancel that forgets the delivery",
    firstSeed: 6,
    why: "The outcome has no event.",
    edits: [
      {
        file: "store/sqlite/apply.ts",
        find: "if (row[11] === 1 && isFinished(next.state.status)) deliveries.make(id, key);",
        replace: `if (row[11] === 1 && isFinished(next.state.status) && event.type !== "cancel") deliveries.make(id, key);`,
      },
    ],
  },
  {
    name: "webhook marked delivered before it was sent",
    firstSeed: 1,
    why: "A crash, or a receiver that fails, leaves it unsent for ever.",
    edits: [
      {
        file: "webhook/sender.ts",
        find: "const posted = await this.#post(delivery);",
        replace:
          `await this.#mark(place.id, { type: "delivered", attempt: { at, tookMs: 0, status: 204, error: null } });\n` +
          "    const posted = await this.#post(delivery);",
      },
    ],
  },
  {
    name: "a new event id for each try",
    firstSeed: 1,
    why: "A receiver that was told already cannot know it.",
    edits: [
      {
        file: "webhook/sender.ts",
        find: "signedHeaders(delivery.id, Date.now(),",
        replace: "signedHeaders(`${delivery.id}-${delivery.tries}`, Date.now(),",
      },
    ],
  },
  {
    name: "webhooks sent at the store's hint alone",
    firstSeed: 1,
    why: "What failed once, or was waiting when the server started, is never sent.",
    edits: [
      {
        file: "webhook/sender.ts",
        find: "if (deliveries.pending === 0) return;",
        replace: "if (deliveries.pending >= 0) return;",
      },
    ],
  },
  {
    name: "a delivery that is deleted with its request",
    firstSeed: 1,
    why: "A request that expires takes the unsent word of its outcome with it.",
    edits: [
      {
        file: "store/sqlite/delivery-rows.ts",
        find: "`DELETE FROM deliveries WHERE id = ? AND state = ${DELIVERED}`",
        replace: '"DELETE FROM deliveries WHERE id = ?"',
      },
    ],
  },
];

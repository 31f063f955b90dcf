/**
 * The short form of `npm run torture -- crashes`: a real server under load is struck down again and again, and at
 * the end a checker that knows every answered submit finds each with its one outcome.
 */
import { expect, test } from "vitest";
import { BETWEEN_BLOWS } from "../../torture/crashes/nemesis.ts";
import { torture } from "../../torture/crashes/run.ts";

const BLOWS = [
  "kill -9 of the server",
  "kill -9 of a runner",
  "kill -9 twice in a row",
  "a runner stands still",
  "kill -9 of everything at once",
  "kill -9 while it stops",
];

// Only Linux tells whose processes are whose.
test.skipIf(process.platform !== "linux")(
  "a server struck six times under load loses no answered submit and gives none two outcomes",
  async () => {
    const { problems, submits, blows } = await torture({
      seed: 5,
      ms: 300_000, // it ends with the last blow
      blows: BLOWS,
      peaceMs: 120_000,
      clients: 16,
      backlog: 200,
      tell: () => {},
    });
    expect(problems).toBeNull();
    expect([...blows.keys()]).toEqual(BLOWS);
    expect(submits).toBeGreaterThanOrEqual(BLOWS.length * BETWEEN_BLOWS);
  },
  600_000,
);

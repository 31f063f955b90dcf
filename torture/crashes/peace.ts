/** The end of a run: the server is left in peace until all is finished, and everything is asked for once more. */
import { setTimeout as wait } from "node:timers/promises";
import { fields, isAnswer } from "../lib/http.ts";
import type { Entry } from "../lib/ledger.ts";
import type { Random } from "../simulation/random.ts";
import { hearList } from "./clients.ts";
import { readResult } from "./follow.ts";
import { hear } from "./hear.ts";
import { say } from "./talk.ts";
import type { Facts, World } from "./world.ts";

/** How many results are read once more; the others are read in the database. */
const READ_AGAIN = 1_000;

/** Waits until nothing is unfinished or untold, at most until `deadline` (ms since the epoch). */
export async function untilFinished(world: World, deadline: number): Promise<void> {
  while (await anyOf(world, "QUEUED", "PROCESSING")) {
    if (Date.now() > deadline) return stuck(world);
    await wait(250);
  }
  await lastLook(world);
  await untilTold(world, deadline);
}

/** Whether a request is in one of these states. */
async function anyOf(world: World, ...statuses: readonly string[]): Promise<boolean> {
  for (const status of statuses) {
    const answer = await say(world, { path: `/v2/requests?status=${status}&limit=1` });
    if (!isAnswer(answer) || answer.status !== 200 || fields(answer).requests.length > 0) return true;
  }
  return false;
}

async function stuck(world: World): Promise<void> {
  for (const status of ["QUEUED", "PROCESSING"]) {
    const answer = await say(world, { path: `/v2/requests?status=${status}&limit=20` });
    if (!isAnswer(answer)) continue;
    for (const { request_id: id } of fields(answer).requests) world.ledger.problem(`stuck: it is ${status} still`, id);
  }
}

/** All pages of the list, and of those that it does not have the status. */
async function lastLook(world: World): Promise<void> {
  for (let cursor: string | null = ""; cursor !== null;) {
    const answer = await say(world, { path: `/v2/requests?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}` });
    if (isAnswer(answer) && answer.status === 200) cursor = hearList(world, fields(answer), answer);
  }
  // Of those whose life is over every twentieth is asked for: that the others are gone the database tells.
  const left = [...world.ledger.open()].filter((entry, index) => index % 20 === 0 || !isPast(entry));
  await each(left, async (entry) => {
    while (!hear(world, entry, "last status", await say(world, { path: `/v2/requests/${entry.id}/status` })))
      await wait(100);
  });
}

function isPast({ lifeMs, submitted }: Entry<Facts>): boolean {
  return lifeMs !== null && submitted.answeredAt + lifeMs + 2_000 < Date.now();
}

/** Reads the results of some requests, chosen by chance, and whether those that must be gone are. */
export async function readAgain(world: World, random: Random): Promise<void> {
  const all = [...world.ledger.entries()];
  const some = Array.from({ length: Math.min(READ_AGAIN, all.length) }, () => random.pick(all));
  await each(some, (entry) => readResult(world, entry, "v2"));
}

/** Waits until all webhooks were taken; those that wait for their next try are asked for now, so that nobody has to wait for it. */
async function untilTold(world: World, deadline: number): Promise<void> {
  for (let rounds = 1; ; rounds++) {
    const untold = [...world.ledger.entries()].filter((entry) => entry.facts.webhook && takenOf(world, entry) === 0);
    if (untold.length === 0) return;
    if (Date.now() > deadline) {
      for (const { id } of untold) world.ledger.problem("lost: its webhook never came", id);
      return;
    }
    if (rounds % 20 === 0) {
      await each(
        untold,
        async ({ id }) => void (await say(world, { method: "POST", path: `/v2/webhooks/deliveries/${id}/redeliver` })),
      );
    }
    await wait(200);
  }
}

function takenOf({ receivers }: World, { id }: Entry<Facts>): number {
  return receivers.reduce((sum, { told }) => sum + (told.get(id)?.taken ?? 0), 0);
}

/** Eight at a time. */
async function each<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const one of rest) await work(one);
    }),
  );
}

/** Clients: each gives an order and follows what becomes of it in one of many ways, over and over. */
import { setTimeout as wait } from "node:timers/promises";
import { fields, isAnswer } from "../lib/http.ts";
import type { Entry } from "../lib/ledger.ts";
import { Random } from "../simulation/random.ts";
import { live } from "./follow.ts";
import { hear } from "./hear.ts";
import { type Order, order } from "./orders.ts";
import { clip, say } from "./talk.ts";
import type { Facts, World } from "./world.ts";

/** How long a request is left alone before the watcher asks for it, ms. */
const UNWATCHED_MS = 1_000;
const WATCHED_AT_ONCE = 16;

/** One client, until the run is over. */
export async function client(world: World, number: number): Promise<void> {
  const random = new Random(world.seed * 1_000 + number);
  for (let count = 0; !world.over; count++) {
    const given = order(`${number}-${count}`, random, world);
    if (world.crowded.has(given.facts.model)) {
      await wait(10);
      continue;
    }
    const entry = await submit(world, given);
    if (entry === null) continue;
    if (given.facts.idempotencyKey !== null && given.lifeMs === null && random.chance(0.1))
      await submit(world, given, 1);
    await live(world, entry, random);
    if (random.chance(0.02)) await list(world, random);
  }
}

/** Asks for what became of those that no client follows, the oldest first, until the run is over: what is known to be finished makes room for more. */
export async function watcher(world: World): Promise<void> {
  for (; !world.over; await wait(50)) {
    const left: Entry<Facts>[] = [];
    for (const entry of world.ledger.open()) {
      if (entry.facts.model !== "backlog" && entry.submitted.answeredAt < Date.now() - UNWATCHED_MS) left.push(entry);
      if (left.length === WATCHED_AT_ONCE) break;
    }
    await Promise.all(
      left.map(async (entry) =>
        hear(world, entry, "status", await say(world, { path: `/v2/requests/${entry.id}/status` })),
      ),
    );
  }
}

/** Sends an order until it is answered, as often as that is safe; null where nobody knows what became of it. `tries` were made before. */
export async function submit(world: World, order: Order, tries = 0): Promise<Entry<Facts> | null> {
  const { ledger, keys } = world;
  const { facts, lifeMs } = order;
  const key = facts.idempotencyKey;
  const mayWait = order.path.includes("wait=");
  const unknown = (): null => {
    world.lost += 1;
    return null;
  };
  for (; !world.over; await wait(20)) {
    const answer = await say(world, { method: "POST", ...order });
    if (!isAnswer(answer)) {
      if (answer.none === "refused") continue;
      tries += 1;
      if (key === null) return unknown();
      continue;
    }
    if (answer.status >= 500 || answer.status === 404) {
      // One that waits for the outcome has been accepted: a server that stops tells it so, or that its life is over.
      if (mayWait && key === null) return unknown();
      if (answer.status === 404) return null;
      if (mayWait) tries += 1;
      continue;
    }
    const body = fields(answer);
    const { request_id: id } = body;
    if (typeof id !== "string") {
      ledger.problem(`a submit to ${facts.model} was answered ${answer.status} ${clip(answer)}`);
      return null;
    }
    const entry = ledger.submitted(id, facts, answer, lifeMs);
    if (body.status !== "QUEUED") hear(world, entry, "submit", answer);
    if (key === null) return entry;
    const first = keys.get(key) ?? id;
    keys.set(key, first);
    if (first !== id) ledger.problem(`double: its idempotency key made two requests: ${first} and this one`, id);
    if (tries === 0 && answer.headers["idempotent-replayed"] === "true")
      ledger.problem("its first submit was answered as a repeated one", id);
    return entry;
  }
  if (tries > 0) return unknown();
  return null;
}

/** Reads some pages of all requests. */
async function list(world: World, random: Random): Promise<void> {
  let cursor: string | null = "";
  for (let pages = random.whole(1, 3); pages > 0 && cursor !== null; pages--) {
    const answer = await say(world, { path: `/v2/requests?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}` });
    if (!isAnswer(answer) || answer.status !== 200) return;
    cursor = hearList(world, fields(answer), answer);
  }
}

interface Listed {
  readonly requests: readonly {
    readonly request_id: string;
    readonly status: string;
    readonly error_code: string | null;
    readonly attempts: number;
  }[];
  readonly next_cursor: string | null;
}

/** Tells the ledger of a page; answers where the next one begins. */
export function hearList(
  { ledger }: World,
  { requests, next_cursor: next }: Listed,
  span: { askedAt: number; answeredAt: number },
): string | null {
  for (const { request_id: id, status, error_code: code } of requests) {
    const entry = ledger.get(id);
    if (entry === undefined) continue; // its submit was not answered, or not yet
    if (status === "COMPLETED") ledger.finished(entry, { status }, "list", span);
    else if (status === "FAILED") ledger.finished(entry, { status, code: code! }, "list", span);
    else ledger.pending(entry, status, "list", span);
  }
  return next;
}

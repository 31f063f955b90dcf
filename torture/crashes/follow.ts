/** The ways in which a client follows its request, and what it does when it is finished. */
import { get } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { fields, isAnswer } from "../lib/http.ts";
import type { Entry } from "../lib/ledger.ts";
import { AUTH } from "../lib/server.ts";
import type { Random } from "../simulation/random.ts";
import { hear, readFiles } from "./hear.ts";
import { say } from "./talk.ts";
import type { Facts, World } from "./world.ts";

/** A client that has seen no outcome for so long leaves its request to the last look at everything, ms. */
const PATIENCE_MS = 15_000;

/** What becomes of one request, as its client wants it. */
export async function live(world: World, entry: Entry<Facts>, random: Random): Promise<void> {
  const way = random.next();
  if (way < 0.4) return; // looked at once all is over
  if (way < 0.48) {
    await wait(random.whole(0, 500));
    await cancel(world, entry, random);
  } else if (way < 0.52) {
    await wait(random.whole(0, 500));
    return await remove(world, entry);
  } else if (way < 0.65) await listen(world, entry);
  else await poll(world, entry, random);
  if (entry.outcome === null) return;
  await readResult(world, entry, random.chance(0.5) ? "v2" : "v1");
  const after = random.next();
  if (after < 0.1) await remove(world, entry);
  else if (after < 0.2) await retry(world, entry);
}

async function poll(world: World, entry: Entry<Facts>, random: Random): Promise<void> {
  const paths = [
    `/v2/requests/${entry.id}/status`,
    `/v2/requests/${entry.id}/status?wait=2`,
    `/v2/requests/${entry.id}?partial=1`,
  ];
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until && !world.over;) {
    const path = random.pick(paths);
    if (path.includes("partial")) {
      const answer = await say(world, { path });
      if (isAnswer(answer) && answer.status === 200 && fields(answer).partial === true)
        world.ledger.pending(entry, "PROCESSING", "partial", answer);
      else if (hear(world, entry, "result", answer)) return;
    } else if (hear(world, entry, "status", await say(world, { path }))) return;
    await wait(random.whole(20, 400));
  }
}

export async function readResult(world: World, entry: Entry<Facts>, version: "v1" | "v2"): Promise<void> {
  const answer = await say(world, { path: `/${version}/requests/${entry.id}` });
  hear(world, entry, `${version} result`, answer);
  if (isAnswer(answer) && answer.status === 200 && entry.facts.pictures > 0 && fields(answer).status === "COMPLETED") {
    await readFiles(world, entry, answer);
  }
}

async function cancel(world: World, entry: Entry<Facts>, random: Random): Promise<void> {
  entry.facts.cancelled = true;
  world.ledger.note(entry, "cancel", "asked");
  for (let tries = 0; tries < 5; tries++) {
    const answer = await say(world, { method: "POST", path: `/v2/requests/${entry.id}/cancel` });
    if (!isAnswer(answer) || answer.status >= 500) continue;
    // 409 tells of the outcome that came first.
    hear(world, entry, "cancel", answer);
    if (!random.chance(0.3)) return;
  }
}

async function remove(world: World, entry: Entry<Facts>): Promise<void> {
  world.ledger.deleting(entry);
  entry.facts.cancelled = true; // of one that runs, the cancel may be all that was done
  for (let tries = 0; tries < 5; tries++) {
    const answer = await say(world, { method: "DELETE", path: `/v2/requests/${entry.id}` });
    if (!isAnswer(answer) || answer.status >= 500) continue;
    if (answer.status === 204 || answer.status === 404) world.ledger.deleted(entry, answer);
    else world.ledger.problem(`a delete was answered ${answer.status}`, entry.id);
    return;
  }
}

/** The same input once more, as a request of its own: with a key, so that it can be asked for until it is answered. */
async function retry(world: World, entry: Entry<Facts>): Promise<void> {
  const idempotencyKey = `retry-${entry.id}`;
  for (let tries = 0; tries < 10; tries++) {
    const path = `/v2/requests/${entry.id}/retry`;
    const answer = await say(world, { method: "POST", path, headers: { "idempotency-key": idempotencyKey } });
    if (!isAnswer(answer) || answer.status >= 500) continue;
    if (answer.status === 404) return world.ledger.gone(entry, "retry", answer);
    if (answer.status !== 200) return world.ledger.problem(`a retry was answered ${answer.status}`, entry.id);
    const facts = { ...entry.facts, idempotencyKey, cancelled: false };
    world.keys.set(idempotencyKey, fields(answer).request_id);
    world.ledger.submitted(fields(answer).request_id, facts, answer, entry.lifeMs);
    return;
  }
  world.lost += 1;
}

/** Follows the stream of its events, coming again where it was cut off. */
async function listen(world: World, entry: Entry<Facts>): Promise<void> {
  let lastId = "";
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until && entry.outcome === null && !world.over;) {
    const { base } = await world.lives.up();
    const askedAt = Date.now();
    await new Promise<void>((resolve) => {
      const headers = lastId === "" ? AUTH : { ...AUTH, "last-event-id": lastId };
      const call = get(`${base}/v2/requests/${entry.id}/events`, { headers, timeout: PATIENCE_MS }, (response) => {
        let text = "";
        if (response.statusCode === 404) world.ledger.gone(entry, "events", { askedAt, answeredAt: Date.now() });
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
          const events = text.split("\n\n");
          text = events.pop()!;
          for (const event of events) lastId = hearEvent(world, entry, event, askedAt) ?? lastId;
        });
        response.on("error", () => {}).on("close", resolve);
      });
      const patience = setTimeout(() => call.destroy(), Math.max(0, until - Date.now()));
      call.on("error", () => {}).on("close", () => (clearTimeout(patience), resolve()));
      call.on("timeout", () => call.destroy());
    });
    if (world.ledger.isOver(entry)) return;
    await wait(100);
  }
}

/** Answers the event's id. */
function hearEvent({ ledger }: World, entry: Entry<Facts>, event: string, askedAt: number): string | undefined {
  const [, type] = /^event: (\w+)$/m.exec(event) ?? [];
  const [, id] = /^id: (.*)$/m.exec(event) ?? [];
  const data = /^data: (.*)$/m.exec(event)?.[1];
  const span = { askedAt, answeredAt: Date.now() };
  if (type === "gone") ledger.gone(entry, "events", span);
  if (type !== "status" || data === undefined) return id;
  const { status, error_code: code } = JSON.parse(data) as { status: string; error_code?: string };
  if (status === "COMPLETED" || status === "FAILED")
    ledger.finished(entry, { status, ...(code !== undefined && { code }) }, "events", span);
  else ledger.pending(entry, status, "events", span);
  return id;
}

/** Clients that go on whatever the disk does, and hold each answer against what a server with a failing disk may say. */
import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { type Answer, ask, fields, isAnswer, type NoAnswer } from "../lib/http.ts";
import type { Entry, Ledger, Outcome } from "../lib/ledger.ts";
import { AUTH } from "../lib/server.ts";
import type { Random } from "../simulation/random.ts";
import { type Kind, outputOf } from "./work.ts";

export interface Facts {
  readonly nonce: string;
  readonly kind: Kind;
  readonly webhook: boolean;
  cancelled: boolean;
}

export interface World {
  readonly base: string;
  readonly ledger: Ledger<Facts>;
  readonly random: Random;
  readonly webhook: string;
  /** Finished requests that are read over and over. */
  readonly done: Entry<Facts>[];
  /** What was answered, in words, and how often. */
  readonly answers: Map<string, number>;
  /** When a submit was accepted, and an outcome first seen, last. */
  acceptedAt: number;
  finishedAt: number;
  over: boolean;
}

/** Nobody is kept waiting for longer: not by a full disk, and not for a refusal, ms. */
const ANSWERED_WITHIN_MS = 10_000;
const PAUSE_MS = 50;
/** Finished requests that are kept to be read. */
const READ_AT_MOST = 50;

const REFUSALS = new Set(["disk_full", "store_unavailable"]);
/** What is read goes on being read. */
const READS = new Set(["status", "result", "file", "list", "health"]);

/** Asks, and tells the ledger of whatever is neither the answer nor a refusal that its client can act on. */
export async function say(
  world: World,
  what: string,
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array } = {},
): Promise<Answer | null> {
  const headers = { ...AUTH, ...init.headers };
  const answer = await ask(world.base, { path, ...init, headers, timeoutMs: ANSWERED_WITHIN_MS });
  const told = sayOf(answer);
  world.answers.set(`${what} ${told}`, (world.answers.get(`${what} ${told}`) ?? 0) + 1);
  if (!isAnswer(answer)) {
    if (!world.over) world.ledger.problem(`${what} got no answer: ${told}`);
    return null;
  }
  if (answer.status < 400 || [404, 409, 422].includes(answer.status)) return answer;
  const code = String(answer.headers["x-error-code"]);
  const isClear =
    !READS.has(what) && answer.status === 503 && REFUSALS.has(code) && Number(answer.headers["retry-after"]) > 0;
  if (!isClear) world.ledger.problem(`${what} was answered ${told}: ${answer.body.toString().slice(0, 200)}`);
  return null;
}

function sayOf(answer: Answer | NoAnswer): string {
  if (!isAnswer(answer)) return answer.none;
  const code = answer.headers["x-error-code"];
  return code === undefined ? String(answer.status) : `${answer.status} ${String(code)}`;
}

/** Submits one after the other, of every kind, and follows each to its end. */
export async function submitter(world: World, number: number): Promise<void> {
  const { ledger, random } = world;
  for (let count = 0; !world.over; count++) {
    const kind = random.pick(["short", "short", "long", "file"] as const);
    const webhook = random.chance(0.3);
    const facts: Facts = { nonce: `${number}-${count}`, kind, webhook, cancelled: false };
    const answer = await submit(world, facts);
    if (answer === null) {
      await wait(PAUSE_MS);
      continue;
    }
    world.acceptedAt = answer.answeredAt;
    const entry = ledger.submitted(fields(answer).request_id, facts, answer);
    if (random.chance(0.1)) await cancel(world, entry);
    while (entry.outcome === null && !world.over) {
      await look(world, entry);
      await wait(PAUSE_MS);
    }
    // The disk is small: what is not kept to be read is deleted.
    if (entry.outcome?.status === "COMPLETED" && world.done.length < READ_AT_MOST) world.done.push(entry);
    else if (entry.outcome !== null) await remove(world, entry);
  }
}

/** Asks until it is answered: what was refused may have been done by half. */
export async function remove(world: World, entry: Entry<Facts>): Promise<void> {
  world.ledger.deleting(entry);
  while (!world.over) {
    const answer = await say(world, "delete", `/v2/requests/${entry.id}`, { method: "DELETE" });
    if (answer !== null) return world.ledger.deleted(entry, answer);
    await wait(PAUSE_MS);
  }
}

async function submit(world: World, { nonce, kind, webhook }: Facts): Promise<Answer | null> {
  const { random } = world;
  const path = webhook ? `/v2/full?webhook=${encodeURIComponent(world.webhook)}` : "/v2/full";
  const ms = random.pick([0, 20, 300]);
  const payload = random.chance(0.2) ? { payload: "x".repeat(80_000) } : {};
  if (random.chance(0.8)) {
    const headers = { "content-type": "application/json" };
    return await say(world, "submit", path, {
      method: "POST",
      headers,
      body: JSON.stringify({ nonce, kind, ms, ...payload }),
    });
  }
  const form = new FormData();
  for (const [name, value] of Object.entries({ nonce, kind, ms: String(ms), ...payload })) form.append(name, value);
  const encoded = new Response(form);
  const headers = { "content-type": encoded.headers.get("content-type")! };
  return await say(world, "form", path, { method: "POST", headers, body: Buffer.from(await encoded.arrayBuffer()) });
}

async function cancel(world: World, entry: Entry<Facts>): Promise<void> {
  entry.facts.cancelled = true;
  await say(world, "cancel", `/v2/requests/${entry.id}/cancel`, { method: "POST" });
}

/** Reads status and, where there is one, outcome. */
export async function look(world: World, entry: Entry<Facts>): Promise<void> {
  const { ledger } = world;
  const status = await say(world, "status", `/v2/requests/${entry.id}/status`);
  if (status === null) return;
  if (status.status === 404) return ledger.gone(entry, "status", status);
  const told = fields(status).status as string;
  if (told === "QUEUED" || told === "PROCESSING") return ledger.pending(entry, told, "status", status);
  await readResult(world, entry);
}

async function readResult(world: World, entry: Entry<Facts>): Promise<void> {
  const { ledger } = world;
  const answer = await say(world, "result", `/v2/requests/${entry.id}`);
  if (answer === null) return;
  if (answer.status === 404) return ledger.gone(entry, "result", answer);
  const body = fields(answer);
  const code = answer.headers["x-error-code"];
  const outcome: Outcome = { status: body.status, ...(code !== undefined && { code: String(code) }) };
  if (entry.outcome === null) world.finishedAt = answer.answeredAt;
  ledger.finished(entry, outcome, "result", answer);
  if (outcome.status === "FAILED") {
    if (!(entry.facts.cancelled && outcome.code === "cancelled")) ledger.problem(`it failed: ${body.error}`, entry.id);
    return;
  }
  const { nonce, kind } = entry.facts;
  const output = kind === "file" ? await readFile(world, entry, String(body.output)) : String(body.output);
  if (output !== null && output !== outputOf(nonce, kind))
    ledger.problem(
      `its output is not what its model made (${createHash("sha256").update(output).digest("hex")})`,
      entry.id,
    );
}

async function readFile(world: World, entry: Entry<Facts>, url: string): Promise<string | null> {
  const answer = await say(world, "file", new URL(url).pathname);
  if (answer?.status === 404) world.ledger.problem("the file of its result is not there", entry.id);
  return answer?.status === 200 ? answer.body.toString() : null;
}

/** Reads what has been finished, lists and health, all of which no disk trouble with writing may keep from being answered. */
export async function reader(world: World): Promise<void> {
  while (!world.over) {
    const entry = world.done.length === 0 ? undefined : world.random.pick(world.done);
    if (entry !== undefined) await readResult(world, entry);
    await say(world, "list", "/v2/requests?limit=10");
    await say(world, "health", "/healthz");
    await wait(PAUSE_MS);
  }
}

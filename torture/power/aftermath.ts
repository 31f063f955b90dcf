/** The power is back: a new server starts on what is left, and must know everything that anybody had been told. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../lib/server.ts";
import { faultsAtRest } from "./at-rest.ts";
import { Caller, Refused } from "./caller.ts";
import { Known, type Hook, type KnownRequest, NEVER } from "./known.ts";
import { addressOf, CONFIG, DATA } from "./life.ts";
import type { Receiver } from "./receiver.ts";
import { type Rest, writeOut } from "./replay.ts";
import { outputOf, pictureFor } from "./work.ts";

/** How long the server has to come to rest, ms. */
const REST_MS = 30_000;
/** How often the power may be lost while one request runs, until that counts as its own fault. */
const LOSSES_TILL_LOST = 3;

export interface AftermathOptions {
  readonly rest: Rest;
  /** What was known when the power went: `Known.before`. */
  readonly known: Known;
  readonly receiver: Receiver;
  /** Its own; what was found wrong leaves it there. */
  readonly directory: string;
}

/** Answers what is wrong, a sentence each. */
export async function aftermath({ rest, known, receiver, directory }: AftermathOptions): Promise<string[]> {
  const root = join(directory, "disk");
  const output = join(directory, "output");
  mkdirSync(root, { recursive: true });
  writeOut(rest, root);
  const data = join(root, DATA);
  const heard = hearHooks(receiver, known.hooks);
  const server = startServer({ directory: data, config: CONFIG, log: output });
  const faults: string[] = [];
  try {
    const base = await addressOf(server, output);
    const caller = new Caller(base, new Known(), receiver.url, () => 0);
    const judge = new Judge(caller, faults);
    await Promise.all([...known.requests.values()].map((request) => judge.request(request)));
    await Promise.all([
      judge.uploads(known),
      judge.keys(known),
      judge.secret(known),
      judge.unknown(known),
      judge.hooks(known, heard),
    ]);
  } catch (error) {
    faults.push((error as Error).message);
  }
  server.signal("SIGTERM");
  const exit = await server.exited;
  receiver.hangUp();
  if (exit !== 0 && faults.length === 0) faults.push(`the server ended with ${exit}`);
  if (faults.length === 0) faults.push(...(await faultsAtRest(data, halfDeleted(known))));
  if (faults.length === 0) rmSync(directory, { recursive: true, force: true });
  return faults;
}

/** Whose deletion was asked for and not answered: files go before rows, and who got no answer asks again. */
function halfDeleted({ requests }: Known): ReadonlySet<string> {
  const half = [...requests.values()].filter((one) => one.deleteAskedAt !== NEVER && one.deletedAt === NEVER);
  return new Set(half.map(({ id }) => id));
}

/** Webhooks by their request: those of before, and each that comes. */
interface Heard {
  readonly hooks: Map<string, Omit<Hook, "at">>;
  readonly contradictions: string[];
  /** Whether all of these have come, or came within the time. */
  all(ids: readonly string[]): Promise<boolean>;
}

function hearHooks(receiver: Receiver, before: readonly Hook[]): Heard {
  const hooks = new Map<string, Omit<Hook, "at">>(before.map((hook) => [hook.id, hook]));
  const contradictions: string[] = [];
  let news = Promise.withResolvers<void>();
  receiver.listener = (hook) => {
    const first = hooks.get(hook.id);
    if (first !== undefined && first.status !== hook.status) {
      contradictions.push(`the webhook of ${hook.id} said ${first.status} and then ${hook.status}`);
    }
    hooks.set(hook.id, first ?? hook);
    news.resolve();
    news = Promise.withResolvers();
  };
  return {
    hooks,
    contradictions,
    async all(ids) {
      const late = AbortSignal.timeout(REST_MS);
      const over = new Promise<void>((resolve) => late.addEventListener("abort", () => resolve()));
      while (!ids.every((id) => hooks.has(id))) {
        if (late.aborted) return false;
        await Promise.race([news.promise, over]);
      }
      return true;
    },
  };
}

class Judge {
  readonly #caller: Caller;
  readonly #faults: string[];
  readonly #ended = new Map<string, Pick<Hook, "status" | "code">>();

  constructor(caller: Caller, faults: string[]) {
    this.#caller = caller;
    this.#faults = faults;
  }

  /** A request is there until it is deleted, and has the outcome that was told, or comes to one. */
  async request(known: KnownRequest): Promise<void> {
    const { id, outcome: before, deletedAt, deleteAskedAt } = known;
    const outcome = await this.#try(() => this.#caller.outcome(id));
    if (outcome === undefined) return;
    if (outcome === null) {
      if (deleteAskedAt === NEVER) this.#wrong(known, "is lost");
      return;
    }
    if (deletedAt !== NEVER) return this.#wrong(known, "was deleted, and is there again");
    this.#ended.set(id, outcome);
    if (before !== null && outcome.body !== before.body) {
      return this.#wrong(known, `was told as ${before.body}, and is now ${outcome.body}`);
    }
    if (outcome.status === "FAILED") {
      const isAsked = outcome.code === "cancelled" && Math.min(known.cancelAskedAt, deleteAskedAt) !== NEVER;
      const isLost = outcome.code === "lease_lost" && known.losses >= LOSSES_TILL_LOST;
      if (!isAsked && !isLost) this.#wrong(known, `failed: ${outcome.code} ${outcome.body}`);
    } else if (deleteAskedAt === NEVER) {
      await this.#try(() => this.#result(known, outcome.body));
    }
    if (known.idempotencyKey === null || deleteAskedAt !== NEVER) return;
    const again = await this.#try(() => this.#caller.resubmit(known));
    if (again !== undefined && again !== id)
      this.#wrong(known, `was submitted again with its key, and is now ${again}`);
  }

  /** Every byte of what it made is there, and its size is the one that is told. */
  async #result(known: KnownRequest, body: string): Promise<void> {
    const { work, hasPicture } = known;
    const expected = outputOf(work, hasPicture ? pictureFor(work) : null);
    const { images, output } = JSON.parse(body) as {
      images?: { url: string; file_size: string }[];
      output: string;
    };
    if (images === undefined) {
      if (output !== expected.toString()) this.#wrong(known, "has another text than its model made");
      return;
    }
    const [{ url, file_size }] = images as [{ url: string; file_size: string }];
    const bytes = await this.#caller.file(url);
    if (bytes === null) this.#wrong(known, `has no file ${url} any more`);
    else if (!bytes.equals(expected)) {
      this.#wrong(known, `has other bytes than its model made: ${bytes.length} of ${expected.length}`);
    } else if (Number(file_size) !== bytes.length) {
      this.#wrong(known, `has a file of ${bytes.length} bytes that is told as ${file_size}`);
    }
  }

  async uploads({ uploads }: Known): Promise<void> {
    for (const { path, bytes } of uploads) {
      const found = await this.#try(() => this.#caller.file(path));
      if (found === undefined) continue;
      if (found === null || !found.equals(bytes))
        this.#faults.push(`the upload ${path} is ${found === null ? "lost" : "damaged"}`);
    }
  }

  async keys({ keys }: Known): Promise<void> {
    for (const { name, secret, revokeAskedAt, revokedAt } of keys) {
      const works = await this.#try(() => this.#caller.mayUse(secret));
      if (works === false && revokeAskedAt === NEVER) this.#faults.push(`the key ${name} is lost`);
      if (works === true && revokedAt !== NEVER) this.#faults.push(`the key ${name} was revoked, and works again`);
    }
  }

  /** That of the last rotation, unless another was asked for. */
  async secret({ secrets }: Known): Promise<void> {
    const last = secrets.at(-1);
    if (last === undefined || last.at === NEVER) return;
    const present = await this.#try(() => this.#caller.secret());
    if (present !== undefined && present !== last.secret)
      this.#faults.push("the webhook secret is not the last one that was told");
  }

  /** Requests whose submits were not answered may be there: then they are whole, and come to an outcome. */
  async unknown({ requests }: Known): Promise<void> {
    const ids = (await this.#try(() => this.#caller.list())) ?? [];
    await Promise.all(
      ids.map(async (id) => {
        if (requests.has(id)) return;
        const outcome = await this.#try(() => this.#caller.outcome(id));
        if (outcome === null) this.#faults.push(`${id} is in the list, and is not there`);
        if (!outcome) return;
        this.#ended.set(id, outcome);
        if (outcome.status === "FAILED" && outcome.code !== "cancelled" && outcome.code !== "lease_lost") {
          this.#faults.push(`${id}, whose submit was not answered, failed: ${outcome.code} ${outcome.body}`);
        }
        for (const { url } of (JSON.parse(outcome.body) as { images?: { url: string }[] }).images ?? []) {
          const bytes = await this.#try(() => this.#caller.file(url));
          if (bytes === null) this.#faults.push(`${id}, whose submit was not answered, has no file ${url}`);
        }
      }),
    );
  }

  /** Who asked for a webhook gets it, and what it says is what is there. */
  async hooks({ requests }: Known, { hooks, contradictions, all }: Heard): Promise<void> {
    const due = [...requests.values()].filter(
      ({ id, hasWebhook, deleteAskedAt }) => hasWebhook && deleteAskedAt === NEVER && this.#ended.has(id),
    );
    if (!(await all(due.map(({ id }) => id)))) {
      const missing = due.filter(({ id }) => !hooks.has(id));
      for (const request of missing) this.#wrong(request, "has an outcome, and its webhook did not come");
    }
    this.#faults.push(...contradictions);
    for (const { id, status, code } of hooks.values()) {
      const ended = this.#ended.get(id);
      if (ended === undefined) {
        const request = requests.get(id);
        if (request !== undefined && request.deleteAskedAt === NEVER)
          this.#wrong(request, `was told as ${status} by its webhook, and has no outcome`);
      } else if (ended.status !== status || ended.code !== code) {
        this.#faults.push(
          `${id} was told as ${status} ${code} by its webhook, and is now ${ended.status} ${ended.code}`,
        );
      }
    }
  }

  #wrong({ id, work }: KnownRequest, what: string): void {
    this.#faults.push(`${id} (${JSON.stringify(work)}) ${what}`);
  }

  /** A refusal is a fault of its own. */
  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#faults.push(error.message);
      return undefined;
    }
  }
}

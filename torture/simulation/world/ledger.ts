/**
 * All that anybody was ever told, and what must be true of it. It is told of everything at the moment at which it
 * could no more be taken back: an answer when it leaves the server, a webhook when it reaches its receiver.
 */
import type { Clock } from "../../../packages/server/src/core/clock.ts";
import { DEFAULT_RETRIES } from "../../../packages/server/src/core/transition.ts";
import { machine } from "../machine.ts";
import { LeaseBook } from "./lease-book.ts";

/** Runs that a request may have, releases aside: all but the last of each kind are tried again. */
const MOST_RUNS = DEFAULT_RETRIES.crashes + DEFAULT_RETRIES.errors + 1;

/** How a request ended, as far as one telling tells. Null: it does not. */
export interface Outcome {
  readonly status: "COMPLETED" | "FAILED" | null;
  readonly code: string | null;
  /** The sentence. */
  readonly error: string | null;
  /** The text, or the files' URLs. */
  readonly output: string | null;
}

/** What was asked for by an answered submit. */
export interface Wish {
  readonly owner: string;
  readonly idempotencyKey: string | null;
  /** Says what the input's picture says; null where it has none. */
  readonly picture: string | null;
  readonly webhook: { readonly host: string; readonly events: readonly string[] } | null;
  /** Life after the first reading, ms; null: it does not depend on that. */
  readonly keepMs: number | null;
}

export interface Told extends Wish {
  readonly id: string;
  /** Until then, by the server's clock, it must be there. */
  expiresAt: number;
  /** A client asked for it to be deleted: it may be gone from then on. */
  isDeleted: boolean;
  outcome: Outcome;
}

const NOTHING: Outcome = { status: null, code: null, error: null, output: null };

/** What a schedule has met: one that met nothing proves nothing. */
export type Met = Record<string, number>;

export class Ledger {
  /** The clock of the server that runs, or ran last. */
  #clock: Clock = { now: () => machine().wallOffset + machine().time };
  /** The latest time by the clock of any server before: what had expired by then is gone, though the clock was set back since. */
  #latestBefore = 0;
  /** The first promise that was broken. */
  broken: string | null = null;
  readonly met: Met = {};
  readonly told = new Map<string, Told>();
  readonly #byKey = new Map<string, string>();
  /** Marker of each run → the request that it is of. */
  readonly #runs = new Map<string, string>();
  /** Request → how many runs it had, and how many more it may have than its tries. */
  readonly #runsOf = new Map<string, { runs: number; spare: number }>();
  /** Leases that were handed out and not seen to end: token → request. */
  readonly #leases = new Map<string, string>();
  /** Request → the token that was handed out last. */
  readonly #latest = new Map<string, string>();
  /** Tokens whose settlement was refused, with the output that it would have brought. */
  readonly #refused = new Map<string, string>();
  /** Request → body of its webhook, the same in each try. */
  readonly webhooks = new Map<string, string>();
  /** Requests whose webhook a receiver has taken, or wants no more of. */
  readonly acknowledged = new Set<string>();
  readonly leases: LeaseBook = new LeaseBook((promise) => this.fail(promise));

  /** Called with the request of a run that has ended, before that is written. */
  onRunEnd: (id: string) => void = () => undefined;

  count(what: string): void {
    this.met[what] = (this.met[what] ?? 0) + 1;
    machine().note(what);
  }

  fail(promise: string): void {
    machine().note(`BROKEN: ${promise}`);
    this.broken ??= promise;
  }

  /** A submit or a retry was answered with `id`. */
  accepted(id: string, wish: Wish, expiresAt: number, now: number): void {
    const known = this.told.get(id);
    const { owner, idempotencyKey } = wish;
    const isLate = known !== undefined && now >= known.expiresAt; // looked up before it expired, and told afterwards
    if (idempotencyKey !== null && !isLate) {
      const key = `${owner} ${idempotencyKey}`;
      const first = this.told.get(this.#byKey.get(key) ?? "");
      if (first !== undefined && first.id !== id && !first.isDeleted && now < first.expiresAt) {
        this.fail(`idempotency: one key, two requests: ${first.id} and ${id}`);
      }
      this.#byKey.set(key, id);
    }
    machine().detail(() => `answered: ${id}`);
    if (known === undefined) this.told.set(id, { ...wish, id, expiresAt, isDeleted: false, outcome: NOTHING });
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** A server starts, with a clock of its own. */
  set clock(clock: Clock) {
    this.#latestBefore = Math.max(this.#latestBefore, this.#clock.now());
    this.#clock = clock;
  }

  /** Somebody was told how `id` ended, or learned it in passing. */
  saw(id: string, seen: Partial<Outcome>, where: string): void {
    const told = this.told.get(id);
    machine().detail(() => `${where} shows ${id}: ${JSON.stringify(seen)}`);
    if (told === undefined) return;
    const merged: Record<string, string | null> = { ...told.outcome };
    for (const [name, value] of Object.entries(seen)) {
      if (value === null) continue;
      const before = merged[name] ?? null;
      if (before !== null && before !== value) {
        this.fail(`one outcome: ${id} had ${name} ${before}, and then, in ${where}, ${value}`);
      }
      merged[name] = value;
    }
    told.outcome = merged as unknown as Outcome;
    this.#checkOutput(told, where);
  }

  /** `id` was shown as not finished. */
  sawUnfinished(id: string, where: string): void {
    const told = this.told.get(id);
    if (told?.outcome.status != null)
      this.fail(`one outcome: ${id} was ${told.outcome.status}, and then unfinished in ${where}`);
  }

  /** Somebody was told that there is no `id`; `now`: the server's clock. */
  missing(id: string, now: number, where: string): void {
    machine().detail(() => `${where} shows no ${id}`);
    const told = this.told.get(id);
    if (told === undefined || told.isDeleted || Math.max(now, this.#latestBefore) >= told.expiresAt) return;
    this.fail(`nothing lost: ${id} is not there in ${where}, ${told.expiresAt - now} ms before its time`);
  }

  /** A result was read: one that is kept for that has its life from then on. */
  read(id: string, now: number): void {
    const told = this.told.get(id);
    if (told?.keepMs != null) told.expiresAt = Math.min(told.expiresAt, now + told.keepMs);
  }

  leased(id: string, token: string): void {
    machine().detail(() => `leased: ${id} ${token}`);
    this.#leases.set(token, id);
    this.#latest.set(id, token);
  }

  /** A worker was answered about the settlement of `token`; `output`: of a completed one. Null: it was released. */
  settled(id: string, token: string, ok: boolean, ended: Partial<Outcome> | "release" | null): void {
    this.#leases.delete(token);
    machine().detail(() => `settled: ${id} ${token} ${ok ? "" : "refused "}${JSON.stringify(ended)}`);
    if (!ok) {
      this.count("refused settlement");
      if (ended !== null && ended !== "release" && ended.output != null) this.#refused.set(ended.output, id);
      return;
    }
    if (this.#latest.get(id) !== token) this.fail(`fencing: ${id} was settled by a lease that another had followed`);
    if (ended === "release") {
      this.count("release");
      this.#runsFor(id).spare += 1;
    } else if (ended !== null) this.saw(id, ended, "a settlement");
  }

  /** Leases may not have been written: their runs may be repeated and never be counted. */
  leasesInDoubt(): void {
    for (const id of this.#leases.values()) this.#runsFor(id).spare += 1;
    this.#leases.clear();
  }

  /** Answers a marker that no other run has. */
  runBegins({ id, attempt }: { readonly id: string; readonly attempt: number }): string {
    const marker = `run ${this.#runs.size + 1} of ${id}/${attempt}`;
    this.#runs.set(marker, id);
    machine().detail(() => `begins: ${marker}`);
    const counts = this.#runsFor(id);
    counts.runs += 1;
    if (counts.runs > MOST_RUNS + counts.spare) {
      this.fail(
        `attempts: ${id} runs for the ${counts.runs}th time, and was released or in doubt ${counts.spare} times`,
      );
    }
    return marker;
  }

  runEnds(marker: string, how: string): void {
    this.onRunEnd(this.#runs.get(marker)!);
    this.count(`run ${how}`);
    machine().detail(() => marker);
  }

  /** What a run found in its input. */
  runRead(id: string, found: string): void {
    const told = this.told.get(id);
    if (told === undefined || told.picture === null || told.picture === found || told.isDeleted) return;
    if (this.clock.now() >= told.expiresAt) return; // its files go before its worker hears of it
    if (told.outcome.status === null)
      this.fail(`nothing lost: the input of ${id} said ${told.picture}, and its run read ${found}`);
  }

  /** A webhook reached its receiver. */
  webhook(id: string, body: string): void {
    const first = this.webhooks.get(id);
    if (first !== undefined && first !== body)
      this.fail(`one outcome: the webhook of ${id} said two things: ${first} ${body}`);
    this.webhooks.set(id, body);
    const { type, data } = JSON.parse(body) as { type: string; data: Readonly<Record<string, unknown>> };
    const status = type === "request.completed" ? "COMPLETED" : "FAILED";
    const code = text(data["error_code"]);
    const images = data["images"] as { url: string }[] | undefined;
    const output = images === undefined ? text(data["output"]) : images.map(({ url }) => url).join(" ");
    // One that expired without an outcome had none before.
    this.saw(id, { status, code, error: text(data["error"]), output }, "a webhook");
  }

  /** What is standing names a run of this very request, and not one whose settlement was refused. */
  #checkOutput({ id, outcome }: Told, where: string): void {
    const { output } = outcome;
    if (output === null) return;
    if (this.#refused.has(output)) this.fail(`fencing: ${id} shows in ${where} what was refused: ${output}`);
    if (!output.includes(id)) this.fail(`one outcome: ${id} shows in ${where} what is not its own: ${output}`);
  }

  #runsFor(id: string): { runs: number; spare: number } {
    let counts = this.#runsOf.get(id);
    if (counts === undefined) this.#runsOf.set(id, (counts = { runs: 0, spare: 0 }));
    return counts;
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

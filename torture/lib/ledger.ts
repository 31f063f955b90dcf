/**
 * What clients know: which submits were answered, and all that anybody was ever told of them. It sees by itself
 * what contradicts: an outcome that changes or is taken back, a request that is gone before its time, or is there
 * after it. Shared by the parts of the torture that drive real servers.
 *
 * Times are the client's, ms since the epoch: what was asked before an answer came may see the state before it.
 */

/** What somebody was told of how a request ended; what two were told of it must agree in whatever both know. */
export interface Outcome {
  readonly status: "COMPLETED" | "FAILED";
  /** `X-Error-Code` where it failed. */
  readonly code?: string;
  /** Tells two results apart: the body, or a digest of it. */
  readonly result?: string;
}

/** When something was asked, and when its answer was complete. */
export interface Span {
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** One request whose submit was answered. */
export interface Entry<Facts> {
  readonly id: string;
  /** What its submitter knows of it. */
  readonly facts: Facts;
  readonly submitted: Span;
  /** How long it lives from its submit on, ms, where the run sees the end of it; null: longer than the run. */
  readonly lifeMs: number | null;
  outcome: Outcome | null;
  /** When the first that told of the outcome had told it. */
  outcomeAt: number;
  /** Asked for by us: from `askedAt` on it may be gone, from `answeredAt` on it must be. */
  deletion: { readonly askedAt: number; answeredAt: number } | null;
  readonly history: (readonly [at: number, where: string, what: string])[];
}

export interface Problem {
  readonly what: string;
  /** The request's, where it is one request's. */
  readonly id?: string;
}

/** Ids tell lives in whole seconds, and clocks of two processes differ by a little. */
const LIFE_SLACK_MS = 2_000;

export class Ledger<Facts> {
  readonly problems: Problem[] = [];
  readonly #entries = new Map<string, Entry<Facts>>();
  /** Known to have no outcome yet, and not known to be gone. */
  readonly #open = new Set<string>();

  get size(): number {
    return this.#entries.size;
  }

  get unfinished(): number {
    return this.#open.size;
  }

  entries(): Iterable<Entry<Facts>> {
    return this.#entries.values();
  }

  /** Those of which no outcome is known. */
  *open(): Iterable<Entry<Facts>> {
    for (const id of this.#open) yield this.#entries.get(id)!;
  }

  /** Whether it is known how it ended. */
  isOver({ id }: Entry<Facts>): boolean {
    return !this.#open.has(id);
  }

  get(id: string): Entry<Facts> | undefined {
    return this.#entries.get(id);
  }

  /** A submit was answered with `id`: a new one, or once more the one it had. */
  submitted(id: string, facts: Facts, span: Span, lifeMs: number | null = null): Entry<Facts> {
    const known = this.#entries.get(id);
    if (known !== undefined) {
      this.note(known, "submit", "answered again");
      return known;
    }
    const entry: Entry<Facts> = {
      id,
      facts,
      submitted: span,
      lifeMs,
      outcome: null,
      outcomeAt: Infinity,
      deletion: null,
      history: [],
    };
    this.#entries.set(id, entry);
    this.#open.add(id);
    this.note(entry, "submit", "answered");
    return entry;
  }

  /** `where` told that it has no outcome. */
  pending(entry: Entry<Facts>, status: string, where: string, { askedAt }: Pick<Span, "askedAt">): void {
    this.note(entry, where, status);
    if (entry.outcomeAt < askedAt)
      this.problem(`double: ${where} says ${status} after ${told(entry.outcome)} was told`, entry.id);
    this.#there(entry, where, askedAt);
  }

  /** `where` told its outcome. */
  finished(entry: Entry<Facts>, outcome: Outcome, where: string, { askedAt, answeredAt }: Span): void {
    this.#there(entry, where, askedAt);
    this.outcome(entry, outcome, where, answeredAt);
  }

  /** Somebody was told its outcome who may be told also when it is gone: by a webhook. */
  outcome(entry: Entry<Facts>, outcome: Outcome, where: string, answeredAt: number): void {
    this.note(entry, where, told(outcome));
    this.#open.delete(entry.id);
    const known = entry.outcome;
    if (known !== null) {
      for (const field of ["status", "code", "result"] as const) {
        if (known[field] === undefined || outcome[field] === undefined || known[field] === outcome[field]) continue;
        this.problem(
          `double: ${where} tells ${field} ${clip(outcome[field])} where ${clip(known[field])} was told before`,
          entry.id,
        );
      }
    }
    entry.outcome = { ...outcome, ...known };
    entry.outcomeAt = Math.min(entry.outcomeAt, answeredAt);
  }

  /** We ask for it to be deleted; whether that was done is known only when it is answered. */
  deleting(entry: Entry<Facts>): void {
    entry.deletion ??= { askedAt: Date.now(), answeredAt: Infinity };
    this.note(entry, "delete", "asked");
  }

  deleted(entry: Entry<Facts>, { answeredAt }: Span): void {
    entry.deletion!.answeredAt = Math.min(entry.deletion!.answeredAt, answeredAt);
    this.#open.delete(entry.id);
    this.note(entry, "delete", "answered");
  }

  /** `where` told that there is no such request. */
  gone(entry: Entry<Facts>, where: string, { answeredAt }: Span): void {
    this.note(entry, where, "gone");
    this.#open.delete(entry.id);
    if (entry.deletion !== null && entry.deletion.askedAt <= answeredAt) return;
    const { lifeMs, submitted } = entry;
    if (lifeMs !== null && submitted.askedAt + lifeMs - LIFE_SLACK_MS <= answeredAt) return;
    this.problem(`lost: ${where} says that there is no such request`, entry.id);
  }

  /** Anything else that must not be. What was lost begins with `lost: `, what had two outcomes with `double: `. */
  problem(what: string, id?: string): void {
    this.problems.push({ what, ...(id !== undefined && { id }) });
  }

  /** The whole of what was seen of a request, a line each. */
  history(id: string): string[] {
    const { history = [], facts } = this.#entries.get(id) ?? {};
    const lines = history.map(([at, where, what]) => `${new Date(at).toISOString()} ${where}: ${what}`);
    return facts === undefined ? lines : [JSON.stringify(facts), ...lines];
  }

  /** It was told of as being there. */
  #there({ id, deletion, lifeMs, submitted }: Entry<Facts>, where: string, askedAt: number): void {
    if (deletion !== null && deletion.answeredAt < askedAt)
      this.problem(`${where} tells of it after it was deleted`, id);
    if (lifeMs !== null && submitted.answeredAt + lifeMs + LIFE_SLACK_MS < askedAt) {
      this.problem(`${where} tells of it after its life of ${lifeMs} ms`, id);
    }
  }

  /** Keeps for its history what is no contradiction. */
  note(entry: Entry<Facts>, where: string, what: string): void {
    const last = entry.history.at(-1);
    if (last?.[1] === where && last[2] === what) return; // polls repeat themselves
    entry.history.push([Date.now(), where, what]);
  }
}

function told(outcome: Outcome | null): string {
  if (outcome === null) return "nothing";
  return [outcome.status, outcome.code, outcome.result && clip(outcome.result)].filter(Boolean).join(" ");
}

function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

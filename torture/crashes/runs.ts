/**
 * The runs, by the marks that they left outside the data directory. What bounds them: a lease runs once, and within
 * one life of the server all leases of a request have different numbers. A lease may begin to run before it is
 * written (DESIGN, "Tokens"), so a kill -9 may cut it off the record with its run begun: then the next lease has its
 * number once more. So a number may have run in several lives, but not after one that ended well.
 */
import type { Row } from "./at-rest.ts";
import { type Mark, readMark, type RunOf } from "./work.ts";
import type { World } from "./world.ts";

/** How requests end that no lease ends. One that is handed out meanwhile is refused when it is written: its run has begun, and ends for nothing. */
const ENDED_FROM_OUTSIDE: ReadonlySet<string | null> = new Set(["cancelled", "start_timeout"]);

export class Runs {
  readonly #byAttempt = new Map<string, Mark[]>();
  readonly #byNonce = new Map<string, Mark[]>();

  /** `text`: all marks, in the order in which they were left. */
  constructor(text: string) {
    for (const line of text.split("\n")) {
      const mark = line === "" ? undefined : readMark(line);
      if (mark?.what !== "began") continue;
      add(this.#byNonce, mark.nonce, mark);
      if (mark.id !== "-") add(this.#byAttempt, `${mark.id}/${mark.attempt}`, mark);
    }
  }

  /** Whether `run` is the last one of its attempt; of one that does not know its own, whether there was such a run. */
  isLast({ id, attempt, run, nonce }: RunOf): boolean {
    if (id === "-") return this.#byNonce.get(nonce)?.some((mark) => mark.run === run) ?? false;
    return this.#byAttempt.get(`${id}/${attempt}`)?.at(-1)?.run === run;
  }

  /** Tells the ledger of runs that should not have been. `rows` are those that are left. */
  check(world: World, rows: ReadonlyMap<string, Row>): void {
    const cutShort = new Set(world.lives.past.filter(({ clean }) => !clean).map(({ server }) => server.pid));
    this.#checkAttempts(world, rows, cutShort);
    this.#checkNonces(world, rows, cutShort.size);
  }

  /** `cutShort`: processes of servers that did not end well. */
  #checkAttempts({ ledger }: World, rows: ReadonlyMap<string, Row>, cutShort: ReadonlySet<number>): void {
    for (const marks of this.#byAttempt.values()) {
      const { id, attempt } = marks[0]!;
      const row = rows.get(id);
      if (row !== undefined && attempt > mostLeases(row)) {
        ledger.problem(`attempt ${attempt} ran, of ${row.leases} leases`, id);
      }
      for (const [index, { server }] of marks.entries()) {
        const before = marks[index - 1]?.server;
        if (before === server) ledger.problem(`attempt ${attempt} ran twice in one life of the server`, id);
        else if (before !== undefined && !cutShort.has(before)) {
          ledger.problem(`attempt ${attempt} ran again after a server that stopped well`, id);
        }
      }
    }
  }

  /** Those too that do not know whose they are: all runs of one input, a retry's among them. */
  #checkNonces({ ledger }: World, rows: ReadonlyMap<string, Row>, cutsShort: number): void {
    const leases = new Map<string, number>();
    for (const { id, facts } of ledger.entries()) {
      const row = rows.get(id);
      // Of what is gone nobody knows how often it was leased.
      leases.set(facts.nonce, (leases.get(facts.nonce) ?? 0) + (row === undefined ? Infinity : mostLeases(row)));
    }
    for (const [nonce, marks] of this.#byNonce) {
      const most = (leases.get(nonce) ?? Infinity) + cutsShort;
      if (marks.length > most) ledger.problem(`${nonce} ran ${marks.length} times, at most ${most} were to be`);
    }
  }
}

function mostLeases({ leases, failure_code: code }: Row): number {
  return leases + (ENDED_FROM_OUTSIDE.has(code) ? 1 : 0);
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

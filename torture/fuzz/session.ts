/** One run: the server, what was sent and answered, and what was wrong. */
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../simulation/random.ts";
import type { Answer } from "./answers.ts";
import { exchange, type ExchangeOptions, MOST_MS } from "./alone.ts";
import type { Case } from "./case.ts";
import type { Context } from "./generate.ts";
import { Judge } from "./judge.ts";
import { runLane } from "./lane.ts";
import { Lore } from "./lore.ts";
import type { Operation } from "./operations.ts";
import type { FuzzedServer } from "./server.ts";

const LANES = 12;
/** A fault that comes once comes a thousand times. */
const MOST_FAULTS = 25;

export interface Fault {
  readonly kind: string;
  readonly why: string;
  /** Holds the bytes in hex, if the fault has some of its own. */
  readonly file: string | undefined;
}

export class Session {
  readonly server: FuzzedServer;
  readonly context: Context;
  readonly faults: Fault[] = [];
  /** Requests by what they were, and by what was answered. */
  readonly kinds = new Map<string, number>();
  readonly answers = new Map<string, number>();
  /** Those that something was sent to. */
  readonly operations = new Set<string>();
  sent = 0;
  readonly #judge: Judge;
  readonly #seed: number;
  /** What waits for its answer, and until when it may, ms. */
  readonly #underWay = new Map<Case, number>();

  constructor(server: FuzzedServer, operations: readonly Operation[], seed: number, privatePort: number) {
    this.server = server;
    this.#seed = seed;
    this.#judge = new Judge(operations);
    this.context = {
      random: new Random(seed),
      lore: new Lore(),
      base: `http://127.0.0.1:${server.port}`,
      privatePort,
      keys: server.keys,
      operations,
    };
  }

  get isHopeless(): boolean {
    return this.faults.length >= MOST_FAULTS || !this.server.isAlive;
  }

  get underWay(): readonly Case[] {
    return [...this.#underWay.keys()];
  }

  /** What has waited longer than any answer may take. */
  get unanswered(): readonly Case[] {
    const now = performance.now();
    return [...this.#underWay].filter(([, until]) => until < now).map(([one]) => one);
  }

  /** Sends what `next` gives, on many connections at once, until it gives no more. */
  async send(next: () => Case | undefined, lanes: number = LANES): Promise<void> {
    const alone = new Set<Promise<unknown>>();
    const framed = (): Case | undefined => {
      for (;;) {
        const one = this.isHopeless ? undefined : next();
        if (one === undefined || one.isFramed) return one;
        if (alone.size > LANES) continue; // there will be others
        const done: Promise<unknown> = this.sendAlone(one).finally(() => alone.delete(done));
        alone.add(done);
      }
    };
    const told = {
      next: () => {
        const one = framed();
        if (one !== undefined) this.#underWay.set(one, performance.now() + MOST_MS);
        return one;
      },
      answered: (one: Case, answer: Answer) => {
        this.#underWay.delete(one);
        this.#take(one, [answer]);
      },
      fault: (one: Case, why: string) => {
        this.#underWay.delete(one);
        this.fault(one.kind, why, one.bytes);
      },
    };
    await Promise.all(Array.from({ length: lanes }, () => runLane(this.server.port, told)));
    await Promise.all(alone);
  }

  /** Sends it on a connection of its own. */
  async sendAlone(one: Case, options: ExchangeOptions = {}): Promise<readonly Answer[]> {
    this.#underWay.set(one, performance.now() + (options.mostMs ?? MOST_MS));
    const { isStream } = one;
    const { answers, fault } = await exchange(this.server.port, one.bytes, one.method, { isStream, ...options });
    this.#underWay.delete(one);
    if (fault !== undefined) this.fault(one.kind, fault, one.bytes);
    this.#take(one, answers);
    return answers;
  }

  #take(one: Case, answers: readonly Answer[]): void {
    this.sent += 1;
    count(this.kinds, one.kind);
    if (one.operation !== null) this.operations.add(one.operation);
    if (answers.length === 0) count(this.answers, "closed without an answer");
    for (const answer of answers) {
      const code = answer.headers.get("x-error-code");
      count(this.answers, code === undefined ? String(answer.status) : `${answer.status} ${code}`);
      const why = this.#judge.fault(one, answer);
      if (why !== undefined) this.fault(one.kind, why, one.bytes);
      if (answer.status !== 200 || one.operation === null || answer.body.length > 10_000) continue;
      const isOthers = one.bytes.includes(this.server.keys.other, 0, "latin1");
      this.context.lore.learn(answer.body, answer.headers.get("link"), isOthers);
    }
  }

  /** Notes a fault, and tells how to send the same again. */
  fault(kind: string, why: string, bytes?: Buffer): void {
    if (this.faults.length >= MOST_FAULTS || this.faults.some((one) => one.kind === kind && one.why === why)) return;
    let file: string | undefined;
    if (bytes !== undefined) {
      const directory = join(tmpdir(), "inferq-fuzz-faults");
      mkdirSync(directory, { recursive: true });
      file = join(directory, `${this.#seed}-${this.faults.length}.hex`);
      // Ports and keys are others the next time.
      const { port, keys } = this.server;
      let text = bytes.toString("latin1").replaceAll(`127.0.0.1:${port}`, "HOST");
      for (const [name, key] of Object.entries(keys)) text = text.replaceAll(key as string, `KEY-${name}`);
      writeFileSync(file, Buffer.from(text, "latin1").toString("hex"));
    }
    this.faults.push({ kind, why, file });
    console.log(`  FAULT (${kind}): ${why}`);
    if (file !== undefined) console.log(`    again: npm run torture -- fuzz --send ${file}`);
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

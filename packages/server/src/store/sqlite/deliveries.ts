import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import { isId } from "../../core/ids.ts";
import type {
  Delivery,
  DeliveryMark,
  DeliveryPage,
  DeliveryStore,
  DeliveryWish,
  GaveUp,
  ListedDelivery,
} from "../deliveries.ts";
import type { DeliveryReader } from "./delivery-reader.ts";
import type { DeliveryNews } from "./delivery-rows.ts";
import * as m from "./messages.ts";
import type { Answer, Operation } from "./messages.ts";

/** Hosts looked at in one step; a millisecond or so. */
const STEP_HOSTS = 500;
/** Rows of a list looked at in one step, at least. */
const STEP_ROWS = 100;

export interface SqliteDeliveriesOptions {
  readonly clock: Clock;
  /** Sends an operation to the writer. */
  readonly submit: (operation: Operation) => Promise<Answer>;
  /** Answers what is read. Throws where the file cannot be read. */
  readonly read: <T>(read: (reader: DeliveryReader) => T) => T;
  /** Resolves when memory has heard of what is in the file. */
  readonly caughtUp: () => Promise<void>;
}

/** Deliveries are read from the file, for nobody asks for them often; only how many are pending is in memory. */
export class SqliteDeliveries implements DeliveryStore {
  readonly #clock: Clock;
  readonly #submit: (operation: Operation) => Promise<Answer>;
  readonly #read: SqliteDeliveriesOptions["read"];
  readonly #caughtUp: SqliteDeliveriesOptions["caughtUp"];
  readonly #listeners = new Set<(id: string, host: string) => void>();
  #pending = 0;

  constructor({ clock, submit, read, caughtUp }: SqliteDeliveriesOptions) {
    this.#clock = clock;
    this.#submit = submit;
    this.#read = read;
    this.#caughtUp = caughtUp;
  }

  get pending(): number {
    return this.#pending;
  }

  /** What the file holds, or holds since the latest commit. */
  heard({ pending, due }: DeliveryNews): void {
    this.#pending = pending;
    for (const [id, host] of due) for (const listener of this.#listeners) listener(id, host);
  }

  async dueHosts(now: number, after: string | null, limit: number): Promise<readonly string[]> {
    const due: string[] = [];
    for (let last = after ?? ""; ;) {
      const hosts = this.#read((reader) => reader.hosts(last, STEP_HOSTS));
      due.push(...hosts.filter(([, dueAt]) => dueAt <= now).map(([host]) => host));
      if (hosts.length < STEP_HOSTS || due.length >= limit) return due.slice(0, limit);
      last = hosts.at(-1)![0];
      await nextTurn();
    }
  }

  async due(host: string, now: number, limit: number): Promise<readonly Delivery[]> {
    // Else a receiver could be told of an outcome that a poll, which is answered from memory, then takes back.
    await this.#caughtUp();
    return this.#read((reader) => reader.due(host, now, limit));
  }

  async get(id: string): Promise<Delivery | undefined> {
    return isId(id) ? this.#read((reader) => reader.get(id, this.#clock.now())) : undefined;
  }

  async list(wish: DeliveryWish): Promise<DeliveryPage> {
    const most = wish.limit + 1;
    const deliveries: ListedDelivery[] = [];
    for (let asked = wish; ;) {
      const rows = Math.max(most, STEP_ROWS);
      const { found, next } = this.#read((reader) => reader.list(asked, this.#clock.now(), rows));
      deliveries.push(...found.slice(0, most - deliveries.length));
      if (deliveries.length === most || next === null) break;
      asked = { ...wish, before: next };
      await nextTurn();
    }
    const page = deliveries.slice(0, wish.limit);
    return { deliveries: page, next: deliveries.length === most ? page.at(-1)!.id : null };
  }

  async mark(id: string, mark: DeliveryMark): Promise<boolean> {
    if (!isId(id)) return false;
    const { type, attempt } = mark;
    const { at, tookMs, status, error } = attempt;
    const dueAt = mark.type === "retry" ? mark.dueAt : null;
    return (await this.#submit([m.MARK, id, this.#clock.now(), type, dueAt, at, tookMs, status, error])) === true;
  }

  async giveUp(madeBefore: number, forgetBefore: number, limit: number): Promise<GaveUp> {
    return (await this.#submit([m.GIVE_UP, "", this.#clock.now(), madeBefore, forgetBefore, limit])) as GaveUp;
  }

  async redeliver(id: string): Promise<boolean> {
    return isId(id) && (await this.#submit([m.REDELIVER, id, this.#clock.now()])) === true;
  }

  onDue(listener: (id: string, host: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

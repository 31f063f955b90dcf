import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Priority, Status, Submission, Webhook } from "../core/request.ts";
import type { RetryPolicy } from "../core/transition.ts";
import { memoryStore } from "../store/memory.ts";
import type {
  DeadLetter,
  DeadLetterWish,
  Finish,
  ListedRequest,
  ListWish,
  Load,
  RequestStore,
  Settlement,
  StoreDriver,
} from "../store/store.ts";
import { manualClock } from "./clock.ts";
import type { ManualClock } from "./clock.ts";
import { deliveryCommand, DeliveryPair, webhook, type DeliveryCommand } from "./delivery-model.ts";
import type { StoreFactory } from "./store-suite/under-test.ts";
import { submissionMaker } from "./submission.ts";

type Command =
  | { readonly do: "enqueue"; readonly model: string; readonly priority: Priority; readonly delay: number; readonly startWithin: number | null; readonly ttl: number; readonly owner: string; readonly key: string; readonly idempotencyKey: string | null; readonly webhook: Webhook | null; readonly retryOf: number | null } // prettier-ignore
  | { readonly do: "lease"; readonly models: readonly string[]; readonly most: number; readonly durable: boolean }
  | { readonly do: "settle"; readonly lease: number; readonly settlement: Settlement }
  | { readonly do: "heartbeat"; readonly leases: readonly number[] }
  | { readonly do: "finish"; readonly request: number; readonly finish: Finish }
  | { readonly do: "expireBy"; readonly request: number; readonly inMs: number }
  | { readonly do: "list"; readonly filters: Partial<ListWish>; readonly limit: number }
  | { readonly do: "dead letters"; readonly filters: Partial<DeadLetterWish>; readonly limit: number }
  | { readonly do: "sweep"; readonly limit: number }
  | { readonly do: "look" }
  | DeliveryCommand
  | { readonly do: "wait"; readonly ms: number };

const failure = { code: "model_error", message: "No." } as const;
/** Few tries, so that scripts use them up. */
const retriesOf = (model: string): RetryPolicy => ({ crashes: model === "a" ? 0 : 1, errors: 1, delayMs: 400 });
const some = fc.nat({ max: 30 });
const MODELS = ["a", "b"];
const KEYS = ["laptop", "phone", "server"];
const model = fc.constantFrom(...MODELS);
const owner = fc.constantFrom("alice", "bob");
const key = fc.constantFrom("laptop", ...KEYS);
const idempotencyKey = fc.constantFrom(null, null, "k1", "k2");
/** Milliseconds after the start. */
const since = fc.constantFrom(0, 1, 1_000, 5_000);

const settlement: fc.Arbitrary<Settlement> = fc.oneof(
  fc.record({
    type: fc.constant("complete" as const),
    result: fc.constant({ kind: "text", text: "Yes.", reasoning: null } as const),
    inferenceMs: fc.nat({ max: 100 }),
    hasFiles: fc.boolean(),
  }),
  fc.record({
    type: fc.constant("fail" as const),
    kind: fc.constantFrom("error", "retryable", "crash"),
    failure: fc.constant(failure),
    inferenceMs: fc.nat({ max: 100 }),
  }),
  fc.constant({ type: "release" as const }),
);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("enqueue" as const),
      model,
      priority: fc.constantFrom(-1, 0, 1),
      delay: fc.constantFrom(0, 0, 0, 2_000),
      startWithin: fc.constantFrom(null, null, 3_000),
      ttl: fc.constantFrom(4_000, 20_000, 60_000),
      owner,
      key,
      idempotencyKey,
      webhook,
      retryOf: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, some),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("lease" as const),
      models: fc.uniqueArray(model, { minLength: 1 }),
      most: fc.integer({ min: 1, max: 4 }),
      durable: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("settle" as const), lease: some, settlement }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("heartbeat" as const), leases: fc.array(some, { maxLength: 4 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("finish" as const),
      request: some,
      finish: fc.constantFrom<Finish>({ type: "cancel", failure }, { type: "delete" }, { type: "expire" }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("expireBy" as const),
      request: some,
      inMs: fc.constantFrom(-1, 0, 500, 4_000, 90_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("list" as const),
      filters: fc.record(
        { status: fc.constantFrom<Status>("QUEUED", "PROCESSING", "COMPLETED", "FAILED"), model, since, until: since, idempotencyKey: fc.constantFrom("k1", "k2") }, // prettier-ignore
        { requiredKeys: [] },
      ),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("dead letters" as const),
      filters: fc.record({ owner, model, state: fc.constantFrom("open", "replayed") }, { requiredKeys: [] }),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const), limit: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("look" as const) }) },
  { weight: 4, arbitrary: deliveryCommand },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 500, 1_000, 4_000) }) },
);

/** Drives random commands against the driver and the plain reference, which must agree after each. */
export function storeModel(name: string, open: StoreFactory, runs = 40): void {
  describe(`the ${name} store, whatever is asked of it`, () => {
    it("agrees with the reference", async () => {
      const commands = fc.array(command, { minLength: 10, maxLength: 80, size: "max" });
      await fc.assert(
        fc.asyncProperty(commands, async (script) => {
          const clock = manualClock();
          await using driver = await open(clock, retriesOf);
          await using reference = memoryStore({ clock, retriesOf });
          const pair = new Pair(clock, driver, reference);
          for (const step of script) {
            await pair.run(step);
            await pair.agree();
          }
        }),
        { numRuns: runs },
      );
    }, 120_000); // each run opens a store
  });
}

/** Two stores that are asked the same. Tokens are random, so each has its own. */
class Pair {
  readonly #clock: ManualClock;
  readonly #driver: RequestStore;
  readonly #reference: RequestStore;
  readonly #submission: (over?: Partial<Submission>) => Submission;
  readonly #startedAt: number;
  readonly #ids: string[] = [];
  readonly #leases: { id: string; driver: string; reference: string }[] = [];
  /** The positions that the driver told last. */
  readonly #told = new Map<string, number>();

  readonly #deliveries: DeliveryPair;

  constructor(clock: ManualClock, driver: StoreDriver, reference: StoreDriver) {
    this.#deliveries = new DeliveryPair(driver.deliveries, reference.deliveries);
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#driver = driver;
    this.#reference = reference;
    this.#submission = submissionMaker(clock);
  }

  async run(step: Command): Promise<void> {
    const now = this.#clock.now();
    switch (step.do) {
      case "enqueue": {
        const { model, priority, delay, startWithin, ttl, owner, key, idempotencyKey, webhook } = step;
        const retryOf = step.retryOf === null ? undefined : pick(this.#ids, step.retryOf);
        const startDeadline = startWithin === null ? null : now + startWithin;
        const asked = this.#submission({
          model,
          priority,
          notBefore: now + delay,
          startDeadline,
          expiresAt: now + ttl,
          owner,
          key,
          idempotencyKey,
          idempotencyDigest: idempotencyKey && `${model} ${priority}`,
          webhook,
          retryOf: retryOf ?? null,
          publicBase: webhook && "https://api.example",
        });
        await this.#both((store) => store.enqueue(asked));
        this.#ids.push(asked.id); // refused or not: both must know as much of it
        return;
      }
      case "lease":
        return this.#lease(step.models, step.most, step.durable);
      case "settle": {
        const lease = pick(this.#leases, step.lease);
        if (lease) await this.#both((store, own) => store.settle(lease.id, lease[own], step.settlement));
        return;
      }
      case "heartbeat": {
        const leases = step.leases.map((i) => pick(this.#leases, i)).filter((lease) => lease !== undefined);
        await this.#both(async (store, own) => {
          const asked = leases.map((lease) => ({ id: lease.id, token: lease[own] }));
          const gone = await store.heartbeat(asked, 3_000);
          return leases.map((lease) => gone.includes(lease[own]));
        });
        return;
      }
      case "finish": {
        const id = pick(this.#ids, step.request);
        if (id !== undefined) await this.#both((store) => store.finish(id, step.finish));
        return;
      }
      case "expireBy": {
        const id = pick(this.#ids, step.request);
        if (id !== undefined) await this.#both((store) => store.expireBy(id, now + step.inMs));
        return;
      }
      case "list": {
        const { since, until, ...filters } = step.filters;
        const window = {
          ...(since !== undefined && { since: this.#startedAt + since }),
          ...(until !== undefined && { until: this.#startedAt + until }),
        };
        for (const owner of ["alice", "bob"]) {
          await this.#both((store) => allPages(store, { owner, ...filters, ...window, limit: step.limit }));
        }
        return;
      }
      case "dead letters":
        await this.#both((store) => allDeadLetters(store, { ...step.filters, limit: step.limit }));
        return;
      case "sweep": {
        const { expired } = await this.#both(async (store) => {
          const swept = await store.sweep(step.limit);
          return { ...swept, lost: swept.lost.toSorted() };
        });
        for (const { id } of expired) await this.#both((store) => store.finish(id, { type: "expire" }));
        return;
      }
      case "look":
        return this.#look();
      case "wait":
        this.#clock.advance(step.ms);
        return;
      default:
        return this.#deliveries.run(step, "request" in step ? pick(this.#ids, step.request) : undefined, now);
    }
  }

  async #lease(models: readonly string[], most: number, durable: boolean): Promise<void> {
    const wish = { worker: "w1", capacity: new Map(models.map((model) => [model, most])), leaseMs: 3_000, durable };
    const [ours, theirs] = [await this.#driver.lease(wish), await this.#reference.lease(wish)];
    expect(ours.map((lease) => ({ ...lease, token: "" }))).toEqual(theirs.map((lease) => ({ ...lease, token: "" })));
    for (const [i, { id, token }] of ours.entries()) {
      this.#leases.push({ id, driver: token, reference: theirs[i]!.token });
    }
    // A lease not waited for is durable, and so to be seen, with the next write at the latest.
    if (!durable) await this.#driver.heartbeat([{ id: "01970000-0000-7000-8000-000000000000", token: "" }], 1);
  }

  /** What is told of the requests' ways is true: a position is an upper bound by the turns of the keys, and never more than before. */
  async #look(): Promise<void> {
    if (this.#driver.outlook === undefined) return;
    const requests = (await Promise.all(this.#ids.map((id) => this.#reference.get(id)))).filter((one) => !!one);
    // Whoever is back for another try is not counted anew; whoever has missed its start is before nobody.
    const waiting = requests.filter(
      ({ status, leases, startDeadline }) =>
        status === "QUEUED" && leases === 0 && (startDeadline ?? Infinity) > this.#clock.now(),
    );
    for (const { id, model, priority, key, status } of requests) {
      const outlook = this.#driver.outlook(id);
      expect(outlook?.delayed).toBe(this.#reference.outlook!(id)?.delayed);
      const [low, high] = outlook?.remainingMs ?? [0, 0];
      expect(low).toBeGreaterThanOrEqual(0);
      expect(high).toBeGreaterThanOrEqual(low);
      if (status !== "QUEUED") {
        expect(outlook?.position ?? null).toBeNull();
        continue;
      }
      const before = waiting.filter((one) => one.model === model && one.id < id);
      const place = before.filter((one) => one.priority === priority && one.key === key).length + 1;
      let least = place + before.filter((one) => one.priority > priority).length;
      for (const other of KEYS.filter((one) => one !== key)) {
        least += Math.min(place - 1, before.filter((one) => one.priority === priority && one.key === other).length);
      }
      expect(outlook?.position).toBeGreaterThanOrEqual(least);
      expect(outlook?.position).toBeLessThanOrEqual(this.#told.get(id) ?? Infinity);
      this.#told.set(id, outlook!.position!);
    }
  }

  /** Every request looks the same in both, light and whole. */
  async agree(): Promise<void> {
    for (const id of this.#ids) {
      await this.#both((store) => Promise.resolve(store.status(id)));
      await this.#both((store) => store.pastAttempts(id));
      await this.#both(async (store) => {
        const request = await store.get(id);
        return request?.lease ? { ...request, lease: { ...request.lease, token: "" } } : request;
      });
    }
    await this.#deliveries.agree(this.#ids, this.#clock.now());
    expect(this.#driver.stats().models).toEqual(this.#reference.stats().models);
    if (this.#driver.load) expect(counted(this.#driver.load)).toEqual(counted(this.#reference.load!));
  }

  async #both<T>(ask: (store: RequestStore, own: "driver" | "reference") => Promise<T>): Promise<T> {
    const [ours, theirs] = [await ask(this.#driver, "driver"), await ask(this.#reference, "reference")];
    expect(ours).toEqual(theirs);
    return ours;
  }
}

function counted(load: Load): unknown {
  return [load.waiting, MODELS.map((model) => load.waitingFor(model)), KEYS.map((key) => load.unfinishedOf(key))];
}

/** What a list holds from its first page to its last, however the driver cuts them. */
async function allPages(store: RequestStore, wish: ListWish): Promise<ListedRequest[]> {
  const all: ListedRequest[] = [];
  for (let next: string | null | undefined; next !== null;) {
    const page = await store.list({ ...wish, ...(next !== undefined && { before: next }) });
    all.push(...page.requests);
    next = page.next;
  }
  return all;
}

/** The same of dead letters. */
async function allDeadLetters(store: RequestStore, wish: DeadLetterWish): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  for (let next: string | null | undefined; next !== null;) {
    const page = await store.deadLetters({ ...wish, ...(next !== undefined && { before: next }) });
    all.push(...page.deadLetters);
    next = page.next;
  }
  return all;
}

function pick<T>(items: readonly T[], index: number): T | undefined {
  return items.length === 0 ? undefined : items[items.length - 1 - (index % items.length)];
}

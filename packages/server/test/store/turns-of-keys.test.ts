/** The order of leases among many keys, against a plain list; what is told of it; and what a restart does to it. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { idMaker } from "../../src/core/ids.ts";
import { QUEUED } from "../../src/store/sqlite/messages.ts";
import { RequestIndex } from "../../src/store/sqlite/request-index.ts";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { directory } from "./directory.ts";

type Step =
  | { readonly do: "come"; readonly key: number; readonly priority: number; readonly count: number }
  | { readonly do: "crowd"; readonly count: number }
  | { readonly do: "lease"; readonly count: number }
  | { readonly do: "return" | "finish" | "delete"; readonly which: number };

interface Row {
  readonly id: string;
  readonly key: number;
  readonly priority: number;
  status: "waits" | "runs" | "gone";
  leases: number;
}

/** More than the lanes that are kept when nothing of them is unfinished. */
const KEYS = 40;

const which = fc.nat({ max: 1_000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("come" as const),
      key: fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: KEYS - 1 })),
      priority: fc.constantFrom(0, 0, 0, 1, -1),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lease" as const), count: fc.integer({ min: 1, max: 9 }) }) },
  // Every key comes; so many are leased, and all that run go home.
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crowd" as const), count: fc.constantFrom(0, KEYS, 10_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("finish" as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("return" as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), which }) },
);

it("is that of a plain list that is sorted for each lease", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), (script) => {
      const pair = new Pair();
      for (const one of script) pair.run(one);
      pair.lease(10_000);
    }),
  );
});

it("is never worse than was told, but for those who came later and every eighth lease", () => {
  const steps = step.filter((one) => one.do !== "return");
  fc.assert(
    fc.property(fc.array(steps, { minLength: 10, maxLength: 60, size: "max" }), (script) => {
      const pair = new Pair();
      for (const one of script) pair.run(one);
      const told = new Map(pair.waiting().map(({ id }) => [id, pair.position(id)]));
      const before: string[] = [];
      while (pair.waiting().length > 0) {
        const [next, eighth] = pair.lease(1)[0]!;
        const olderBefore = before.filter((id) => id < next).length;
        expect(olderBefore + 1).toBeLessThanOrEqual(told.get(next)!);
        if (!eighth) before.push(next);
      }
    }),
  );
});

it("is not told by a request that was deleted: the next of its key has not its turn", () => {
  const pair = new Pair();
  pair.run({ do: "come", key: 0, priority: 0, count: 1 });
  pair.run({ do: "delete", which: 0 });
  pair.run({ do: "crowd", count: 0 }); // key 0 comes last
  expect(pair.position(pair.waiting().at(-1)!.id)).toBe(KEYS);
});

it("begins anew with a restart: by the oldest request of each key", async () => {
  const path = directory();
  const clock = manualClock();
  const submission = submissionMaker(clock);
  const wish = { worker: "w1", capacity: new Map([["mock", 2]]), leaseMs: 1e6, durable: true };
  const [ann0, bob0, bob1, ann1] = ["ann", "bob", "bob", "ann"].map((key) => submission({ key }));
  const leased = async (): Promise<string[]> => {
    await using store = await sqliteStore({ directory: path, clock });
    const leases = await store.lease(wish);
    for (const { id, token } of leases) {
      const failure = { code: "model_error", message: "No." } as const;
      await store.settle(id, token, { type: "fail", kind: "error", failure, inferenceMs: 1 });
    }
    return leases.map(({ id }) => id);
  };
  {
    await using store = await sqliteStore({ directory: path, clock });
    for (const asked of [ann0!, bob0!, bob1!, ann1!]) await store.enqueue(asked);
  }
  expect(await leased()).toEqual([ann0!.id, bob0!.id]); // and it would be ann's turn
  expect(await leased()).toEqual([bob1!.id, ann1!.id]);
});

/** The index, and a plain list that is asked the same. */
class Pair {
  readonly #index = new RequestIndex();
  readonly #rows: Row[] = [];
  readonly #nextId = idMaker({ now: () => 1_000 });
  readonly #turns = new Map<string, number>();
  #leases = 0;

  constructor() {
    this.#index.loaded(1);
  }

  run(one: Step): void {
    switch (one.do) {
      case "come":
        for (let left = one.count; left > 0; left--) this.#come(one.key, one.priority);
        return;
      case "crowd":
        for (let key = KEYS - 1; key >= 0; key--) this.#come(key, 0);
        this.lease(one.count);
        for (const row of this.#rows.filter(({ status }) => status === "runs")) this.#finish(row);
        return;
      case "lease":
        this.lease(one.count);
        return;
      case "return":
        return this.#on("runs", one.which, (row) => {
          this.#index.set(row.id, [QUEUED, row.leases, 0, null, 1, null, null, null, null, false], 2);
          row.status = "waits";
        });
      case "finish":
        return this.#on("runs", one.which, (row) => this.#finish(row));
      case "delete":
        return this.#on("waits", one.which, (row) => {
          this.#index.remove(row.id);
          row.status = "gone";
        });
    }
  }

  waiting(): Row[] {
    return this.#rows.filter(({ status }) => status === "waits");
  }

  position(id: string): number {
    return this.#index.outlook(id, 2)!.position!;
  }

  /** Leases so many, if there are; answers their ids, and whether each was an eighth lease. */
  lease(count: number): (readonly [id: string, eighth: boolean])[] {
    const taken = this.#index.take("mock", count, 2).map(({ id }) => id);
    const expected: (readonly [id: string, eighth: boolean])[] = [];
    for (const waiting = this.waiting(); expected.length < count && waiting.length > 0;) {
      const eighth = ++this.#leases % 8 === 0;
      waiting.sort((a, b) => (eighth ? 0 : this.#byTurn(a, b)) || (a.id < b.id ? -1 : 1));
      const row = waiting.shift()!;
      this.#turns.set(`${row.priority} ${row.key}`, this.#leases);
      row.status = "runs";
      row.leases++;
      expected.push([row.id, eighth]);
    }
    expect(taken).toEqual(expected.map(([id]) => id));
    for (const id of taken) this.#index.leased(id, 1e9, 2);
    return expected;
  }

  #byTurn(a: Row, b: Row): number {
    const turn = ({ priority, key }: Row): number => this.#turns.get(`${priority} ${key}`) ?? 0;
    return b.priority - a.priority || turn(a) - turn(b);
  }

  #come(key: number, priority: number): void {
    const id = this.#nextId();
    const times = { createdAt: 1, expiresAt: 1e15, due: 0, startDeadline: null };
    const entry = { model: "mock", owner: "alice", key: `key${key}`, status: QUEUED, priority, leases: 0, ...times };
    this.#index.add(id, entry, 1);
    this.#rows.push({ id, key, priority, status: "waits", leases: 0 });
  }

  #finish(row: Row): void {
    this.#index.completed(row.id, 1, 2);
    row.status = "gone";
  }

  #on(status: Row["status"], which: number, then: (row: Row) => void): void {
    const rows = this.#rows.filter((row) => row.status === status);
    if (rows.length > 0) then(rows[which % rows.length]!);
  }
}

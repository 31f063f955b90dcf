import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Webhook } from "../core/request.ts";
import type {
  DeliveryAttempt,
  DeliveryMark,
  DeliveryState,
  DeliveryStore,
  ListedDelivery,
} from "../store/deliveries.ts";

/** What is asked of deliveries; times count from now. */
export type DeliveryCommand =
  | { readonly do: "mark"; readonly request: number; readonly type: DeliveryMark["type"]; readonly beganMsAgo: number; readonly retryInMs: number } // prettier-ignore
  | { readonly do: "redeliver"; readonly request: number }
  | { readonly do: "giveUp"; readonly madeMsAgo: number; readonly forgetMsAgo: number; readonly limit: number }
  | { readonly do: "listDeliveries"; readonly state: DeliveryState | null; readonly limit: number };

const HOSTS = ["a.example", "b.example", "c.example:8443"];
const some = fc.nat({ max: 30 });
const msAgo = fc.constantFrom(0, 1, 1_000, 8_000);
const limit = fc.integer({ min: 1, max: 4 });

export const webhook: fc.Arbitrary<Webhook | null> = fc.oneof(
  fc.constant(null),
  fc.record({
    url: fc.constantFrom(...HOSTS.map((host) => `https://${host}/hook`)),
    events: fc.constantFrom<Webhook["events"]>(["completed", "failed"], ["completed"], ["failed"]),
    body: fc.constantFrom("full", "thin"),
  }),
);

export const deliveryCommand: fc.Arbitrary<DeliveryCommand> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("mark" as const),
      request: some,
      type: fc.constantFrom("delivered", "retry", "failed"),
      beganMsAgo: msAgo,
      retryInMs: fc.constantFrom(0, 500, 5_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("redeliver" as const), request: some }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("giveUp" as const), madeMsAgo: msAgo, forgetMsAgo: msAgo, limit }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("listDeliveries" as const),
      state: fc.constantFrom(null, "pending", "delivered", "failed"),
      limit,
    }),
  },
);

/** Two stores of deliveries that are asked the same, and must agree. */
export class DeliveryPair {
  readonly #both: readonly [driver: DeliveryStore, reference: DeliveryStore];
  readonly #heard: readonly [driver: string[], reference: string[]] = [[], []];

  constructor(driver: DeliveryStore, reference: DeliveryStore) {
    this.#both = [driver, reference];
    for (const [i, store] of this.#both.entries()) store.onDue((id, host) => this.#heard[i]!.push(`${id} ${host}`));
  }

  /** `id`: of the request that the command means; undefined while there is none. */
  async run(step: DeliveryCommand, id: string | undefined, now: number): Promise<void> {
    switch (step.do) {
      case "mark":
        if (id !== undefined) await this.#same((store) => store.mark(id, toMark(step, now)));
        return;
      case "redeliver":
        if (id !== undefined) await this.#same((store) => store.redeliver(id));
        return;
      case "giveUp":
        return this.#same((store) => store.giveUp(now - step.madeMsAgo, now - step.forgetMsAgo, step.limit));
      case "listDeliveries":
        for (const owner of ["alice", "bob"]) await this.#same((store) => allPages(store, owner, step));
    }
  }

  /** Every delivery looks the same in both, and is due in both or in none. */
  async agree(ids: readonly string[], now: number): Promise<void> {
    await this.#same((store) => Promise.all(ids.map((id) => store.get(id))));
    await this.#same((store) => Promise.resolve(store.pending));
    await this.#same((store) => store.dueHosts(now, HOSTS[0]!, 1));
    await this.#same((store) => store.dueHosts(now, null, 10));
    for (const host of HOSTS) await this.#same((store) => store.due(host, now, 3));
    const [driver, reference] = this.#heard.map((heard) => heard.splice(0).sort());
    expect(driver).toEqual(reference);
  }

  async #same(ask: (store: DeliveryStore) => Promise<unknown>): Promise<void> {
    const [ours, theirs] = [await ask(this.#both[0]), await ask(this.#both[1])];
    if (!isDeepStrictEqual(ours, theirs)) expect(ours).toEqual(theirs); // which is slow, and says where they differ
  }
}

function toMark(step: Extract<DeliveryCommand, { do: "mark" }>, now: number): DeliveryMark {
  const { type, beganMsAgo, retryInMs } = step;
  const attempt: DeliveryAttempt = { at: now - beganMsAgo, tookMs: beganMsAgo, status: 500, error: "No." };
  if (type === "retry") return { type, attempt, dueAt: now + retryInMs };
  return type === "failed" ? { type, attempt } : { type, attempt: { ...attempt, status: 204, error: null } };
}

/** What a list holds from its first page to its last. */
async function allPages(
  store: DeliveryStore,
  owner: string,
  { state, limit }: Extract<DeliveryCommand, { do: "listDeliveries" }>,
): Promise<ListedDelivery[]> {
  const all: ListedDelivery[] = [];
  for (let next: string | null | undefined; next !== null;) {
    const page = await store.list({
      owner,
      ...(state && { state }),
      ...(next !== undefined && { before: next }),
      limit,
    });
    all.push(...page.deliveries);
    next = page.next;
  }
  return all;
}

import type { Clock } from "../core/clock.ts";
import type { Request, Webhook } from "../core/request.ts";
import { appended, eventOf, hostOf } from "./delivery.ts";
import type {
  Delivery,
  DeliveryMark,
  DeliveryPage,
  DeliveryState,
  DeliveryStore,
  DeliveryWish,
  ListedDelivery,
} from "./deliveries.ts";

interface Row {
  delivery: Delivery;
  readonly host: string;
}

/** What the requests' part of the store tells this one, and asks it. */
export interface MemoryDeliveries {
  readonly store: DeliveryStore;
  /** `request` has got its outcome. */
  made(request: Request): void;
  /** The request is gone. */
  removed(id: string): void;
}

export interface MemoryRequests {
  readonly clock: Clock;
  /** Whether the request is there, and has not expired. */
  readonly lives: (id: string) => boolean;
  /** Throws once the store is closed. */
  readonly open: () => void;
}

/** The reference: a map and a sort. */
export function memoryDeliveries({ clock, lives, open }: MemoryRequests): MemoryDeliveries {
  const rows = new Map<string, Row>();
  const listeners = new Set<(id: string, host: string) => void>();

  /** One that was delivered is there as long as its request is. */
  function found(id: string): Row | undefined {
    const row = rows.get(id);
    return row?.delivery.state === "delivered" && !lives(id) ? undefined : row;
  }

  function pending(): Row[] {
    return [...rows.values()].filter(({ delivery }) => delivery.state === "pending");
  }

  function dueAt(now: number): Row[] {
    return pending().filter(({ delivery }) => delivery.dueAt! <= now);
  }

  function tell(id: string, host: string): void {
    for (const listener of listeners) listener(id, host);
  }

  function make(request: Request, { url, body }: Webhook): void {
    const { id, owner, model, status, createdAt, startedAt, finishedAt, inferenceMs, result, failure } = request;
    const ended = status === "COMPLETED" ? status : "FAILED";
    const madeAt = finishedAt!;
    const delivery: Delivery = {
      id,
      owner,
      event: eventOf(ended),
      url,
      createdAt: madeAt,
      state: "pending",
      tries: 0,
      dueAt: madeAt,
      attempts: [],
      askedAt: madeAt,
      body,
      base: request.publicBase ?? "",
      outcome: { model, status: ended, createdAt, startedAt, finishedAt: madeAt, inferenceMs, result, failure },
    };
    const host = hostOf(url);
    rows.set(id, { delivery, host });
    tell(id, host);
  }

  const store: DeliveryStore = {
    async dueHosts(now, after, limit) {
      const hosts = new Set(dueAt(now).map(({ host }) => host));
      return [...hosts]
        .filter((host) => after === null || host > after)
        .sort()
        .slice(0, limit);
    },

    async due(host, now, limit) {
      return dueAt(now)
        .filter((row) => row.host === host)
        .map(({ delivery }) => delivery)
        .sort((a, b) => a.dueAt! - b.dueAt! || (a.id < b.id ? -1 : 1))
        .slice(0, limit);
    },

    async get(id) {
      return found(id)?.delivery;
    },

    async list({ owner, state, before, limit }: DeliveryWish): Promise<DeliveryPage> {
      const all = [...rows.keys()]
        .flatMap((id) => found(id)?.delivery ?? [])
        .filter((delivery) => delivery.owner === owner && (state === undefined || delivery.state === state))
        .filter(({ id }) => before === undefined || id < before)
        .sort((a, b) => (a.id > b.id ? -1 : 1));
      const deliveries = all.slice(0, limit).map(toListed);
      return { deliveries, next: all.length > limit ? deliveries.at(-1)!.id : null };
    },

    async mark(id: string, mark: DeliveryMark) {
      open();
      const row = rows.get(id);
      if (row?.delivery.state !== "pending") return false;
      const { delivery } = row;
      const tried = { ...delivery, tries: delivery.tries + 1, attempts: appended(delivery.attempts, mark.attempt) };
      if (mark.type === "delivered") row.delivery = { ...tried, state: "delivered", dueAt: null };
      else if (delivery.askedAt > mark.attempt.at) row.delivery = tried;
      else if (mark.type === "retry") row.delivery = { ...tried, dueAt: mark.dueAt };
      else row.delivery = { ...tried, state: "failed", dueAt: null };
      if (found(id) === undefined) rows.delete(id);
      return true;
    },

    async giveUp(madeBefore, forgetBefore, limit) {
      open();
      const oldest = [...rows.values()].sort(
        (a, b) => a.delivery.askedAt - b.delivery.askedAt || (a.delivery.id < b.delivery.id ? -1 : 1),
      );
      const old = (state: DeliveryState, askedBefore: number): Row[] =>
        oldest.filter(({ delivery }) => delivery.state === state && delivery.askedAt < askedBefore).slice(0, limit);
      const [forgotten, givenUp] = [old("failed", forgetBefore), old("pending", madeBefore)];
      for (const { delivery } of forgotten) rows.delete(delivery.id);
      for (const row of givenUp) row.delivery = { ...row.delivery, state: "failed", dueAt: null };
      return { givenUp: givenUp.length, forgotten: forgotten.length };
    },

    async redeliver(id) {
      open();
      const row = found(id);
      if (row === undefined) return false;
      const now = clock.now();
      row.delivery = { ...row.delivery, state: "pending", dueAt: now, askedAt: now };
      tell(id, row.host);
      return true;
    },

    get pending() {
      return pending().length;
    },

    onDue(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };

  return {
    store,
    made(request) {
      const { webhook, status } = request;
      if (webhook?.events.includes(eventOf(status === "COMPLETED" ? status : "FAILED"))) make(request, webhook);
    },
    removed(id) {
      if (rows.get(id)?.delivery.state === "delivered") rows.delete(id);
    },
  };
}

function toListed(delivery: Delivery): ListedDelivery {
  const { id, owner, event, url, createdAt, state, tries, dueAt, attempts } = delivery;
  return { id, owner, event, url, createdAt, state, tries, dueAt, attempts };
}

import { EventEmitter, once } from "node:events";
import type { Submission } from "../../src/core/request.ts";
import type { AllowPrivate } from "../../src/net/address.ts";
import type { Lookup } from "../../src/net/lookup.ts";
import type { Delivery, DeliveryStore } from "../../src/store/deliveries.ts";
import type { WebhookSecret } from "../../src/store/keys.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { manualClock, type ManualClock } from "../../src/testing/clock.ts";
import { submissionMaker } from "../../src/testing/submission.ts";
import { Poster } from "../../src/webhook/post.ts";
import { Sender } from "../../src/webhook/sender.ts";

const MINUTE = 60_000;

/** A sender over the plain store, with a hand on the clock. */
export interface Opened extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly deliveries: DeliveryStore;
  readonly sender: Sender;
  /** What was logged: fields and message together. */
  readonly logged: readonly Readonly<Record<string, unknown>>[];
  /** Completes a request of which `url` is to be told; answers its id. */
  readonly outcome: (url: string, text?: string) => Promise<string>;
  /** Resolves with the delivery once `is` holds of it; it is looked at after each try. */
  readonly until: (id: string, is: (delivery: Delivery) => boolean) => Promise<Delivery>;
  /** Lets the clock run in steps of a minute until `is` holds of the delivery. */
  readonly waited: (id: string, is: (delivery: Delivery) => boolean) => Promise<Delivery>;
  /** Another sender over the same store, as after a start. */
  readonly another: () => Sender;
}

export interface Settings {
  readonly allowPrivate?: AllowPrivate;
  readonly lookup?: Lookup;
  /** False: the test starts it. */
  readonly started?: boolean;
  readonly secretsOf?: () => readonly WebhookSecret[];
  readonly wrap?: (deliveries: DeliveryStore) => Partial<DeliveryStore>;
}

export function openSender({ allowPrivate = true, lookup, started = true, secretsOf, wrap }: Settings = {}): Opened {
  const clock = manualClock();
  const store = memoryStore({ clock });
  const submission = submissionMaker(clock);
  const secrets = [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", createdAt: clock.now(), expiresAt: null }];
  const logged: Record<string, unknown>[] = [];
  const log = (fields: object, message: string): void => void logged.push({ ...fields, message });
  const news = new EventEmitter().setMaxListeners(0);
  const over = wrap?.(store.deliveries) ?? {};
  const deliveries = Object.create(store.deliveries, {
    ...Object.getOwnPropertyDescriptors(over),
    mark: {
      async value(...[id, mark]: Parameters<DeliveryStore["mark"]>) {
        const marked = await (over.mark ?? store.deliveries.mark)(id, mark);
        news.emit("mark");
        return marked;
      },
    },
  }) as DeliveryStore;
  const opened = new AsyncDisposableStack();

  function another(): Sender {
    const poster = opened.use(new Poster({ allowPrivate, ...(lookup && { lookup }) }));
    const sender = new Sender({
      deliveries,
      secrets: { secretsOf: secretsOf ?? (() => secrets) },
      poster,
      clock,
      log: { debug: log, info: log, warn: log, error: log },
      metrics: { webhookTried: () => undefined, webhookFirstTried: () => undefined },
      pollMs: 5,
    });
    // What hangs in a test is cut off at once, and not after the grace of a stop.
    opened.defer(async () => {
      const stopped = sender.stop();
      poster.abort();
      await stopped;
    });
    return sender;
  }
  const sender = another();
  if (started) sender.start();

  return {
    clock,
    deliveries,
    sender,
    logged,
    another,
    async outcome(url, text = "a poem") {
      const webhook = { url, events: ["completed", "failed"], body: "full" } as const;
      const request: Submission = submission({ webhook, publicBase: "https://api.example" });
      await store.enqueue(request);
      const wish = { worker: "w", capacity: new Map([["mock", 1]]), leaseMs: MINUTE, durable: false };
      const [lease] = await store.lease(wish);
      const result = { kind: "text", text, reasoning: null } as const;
      await store.settle(request.id, lease!.token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
      return request.id;
    },
    async until(id, is) {
      for (;;) {
        const delivery = await store.deliveries.get(id);
        if (delivery !== undefined && is(delivery)) return delivery;
        await once(news, "mark");
      }
    },
    async waited(id, is) {
      for (;;) {
        const delivery = await store.deliveries.get(id);
        if (delivery !== undefined && is(delivery)) return delivery;
        clock.advance(MINUTE);
        await sender.poll();
        const due = (await store.deliveries.get(id))?.dueAt ?? Infinity;
        if (due <= clock.now()) await once(news, "mark");
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

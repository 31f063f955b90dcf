/**
 * Sends deliveries: a new one at once, as the store's hint tells of it, and what is due again, was waiting when
 * the server started or was missed, by looking every second. What waits, waits in the store: here is only what
 * is in flight. At least once: a delivery that was sent and could not be marked is sent again, with its same id.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../core/clock.ts";
import type { Delivery, DeliveryAttempt, DeliveryMark, DeliveryStore } from "../store/deliveries.ts";
import type { WebhookSecrets } from "../store/keys.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { webhookBody } from "../wire/webhook.ts";
import { Breaker, type Pass } from "./breaker.ts";
import type { Posted, Poster } from "./post.ts";
import { QUICK_MS, Room } from "./room.ts";
import { nextTry, TRIED_FOR_MS } from "./schedule.ts";
import { signedHeaders } from "./sign.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

export interface SenderOptions {
  readonly deliveries: DeliveryStore;
  readonly secrets: Pick<WebhookSecrets, "secretsOf">;
  readonly poster: Poster;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "webhookTried" | "webhookFirstTried">;
  /** Between two looks at what is due, ms. */
  readonly pollMs?: number;
}

const POLL_MS = 1_000;
const TIDY_MS = 60_000;
/** What was given up can be asked for again for so long. */
const KEPT_FOR_MS = 7 * 24 * 3_600_000;
const GIVE_UP_SLICE = 1_000;
/** For so long after a start nothing is given up untried: its time may have passed while no server ran. */
const TRIED_FIRST_MS = 10 * 60_000;
const HOSTS_SLICE = 1_000;
/** A stop lets what is in flight end for so long. */
const STOP_GRACE_MS = 3_000;
/** While the store takes no marks, each is tried again after so long; meanwhile nothing is sent in their place. */
const MARK_AGAIN_MS = 1_000;
/** A host of which nothing was heard for so long is forgotten. */
const FORGET_HOST_MS = 10 * 60_000;

interface Host {
  readonly name: string;
  readonly breaker: Breaker;
  /** Ids of the deliveries in flight. */
  readonly inFlight: Set<string>;
  /** Its latest answer came quickly. */
  quick: boolean;
  /** The store may have more that is due than what is in flight. */
  more: boolean;
  /** The latest delivery that was put behind the others. */
  newest: string | null;
  /** While the store is read for it: what was in flight at any time since that began. */
  reading: Set<string> | null;
  usedAt: number;
}

/** A place that a delivery in flight has. */
interface Place {
  readonly host: Host;
  readonly id: string;
  readonly pass: Pass;
  readonly leave: () => void;
}

export class Sender implements AsyncDisposable {
  readonly #options: SenderOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #room = new Room();
  /** Hosts that have more and nothing in flight, for the room that they share is taken; those that are quick, and those that are not. */
  readonly #crowdedOut = { quick: new Set<Host>(), others: new Set<Host>() };
  readonly #stopping = new AbortController();
  #unsubscribe = (): void => undefined;
  #timers: NodeJS.Timeout[] = [];
  #startedAt = 0;
  #polling: Promise<void> | undefined;
  #tidying: Promise<void> | undefined;
  #idle = Promise.withResolvers<void>();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Begins with what is due. Idempotent. */
  start(): void {
    if (this.#timers.length > 0 || this.#stopping.signal.aborted) return;
    this.#startedAt = this.#options.clock.now();
    this.#unsubscribe = this.#options.deliveries.onDue((id, host) => this.#hint(id, host));
    this.#timers = [
      setInterval(() => void this.poll(), this.#options.pollMs ?? POLL_MS),
      setInterval(() => void this.tidy(), TIDY_MS),
    ];
    void this.poll();
    void this.tidy();
  }

  /** Begins no further try; those in flight may end for a few seconds, and then are cut off unmarked. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unsubscribe();
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.#polling, this.#tidying]);
    const cutOff = setTimeout(() => this.#options.poster.abort(), STOP_GRACE_MS);
    if (this.#room.taken > 0) await this.#idle.promise;
    clearTimeout(cutOff);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Looks once through all hosts that have something due. Joins a look under way; never rejects. */
  poll(): Promise<void> {
    return (this.#polling ??= this.#watched(() => this.#poll()).finally(() => (this.#polling = undefined)));
  }

  /** Gives up what is too old, also behind an open breaker, and forgets what was given up long ago. Joins one under way; never rejects. */
  tidy(): Promise<void> {
    return (this.#tidying ??= this.#watched(() => this.#tidy()).finally(() => (this.#tidying = undefined)));
  }

  async #poll(): Promise<void> {
    const { deliveries, clock } = this.#options;
    if (deliveries.pending === 0) return;
    const now = clock.now();
    for (let after: string | null = null; ;) {
      const names: readonly string[] = await deliveries.dueHosts(now, after, HOSTS_SLICE);
      for (const name of names) {
        if (this.#stopping.signal.aborted) return;
        await this.#pull(this.#host(name));
      }
      if (names.length < HOSTS_SLICE) return;
      after = names.at(-1)!;
    }
  }

  async #tidy(): Promise<void> {
    const { deliveries, clock, log } = this.#options;
    const now = clock.now();
    for (const [name, host] of this.#hosts) {
      const { inFlight, breaker, usedAt } = host;
      if (inFlight.size > 0 || Math.max(usedAt, breaker.openUntil) + FORGET_HOST_MS > now) continue;
      this.#hosts.delete(name);
      this.#crowdedOut.others.delete(host);
      this.#crowdedOut.quick.delete(host);
    }
    const madeBefore = now < this.#startedAt + TRIED_FIRST_MS ? 0 : now - TRIED_FOR_MS;
    for (let most = GIVE_UP_SLICE; most === GIVE_UP_SLICE && !this.#stopping.signal.aborted;) {
      const { givenUp, forgotten } = await deliveries.giveUp(madeBefore, now - KEPT_FOR_MS, GIVE_UP_SLICE);
      if (givenUp > 0) {
        log.error({ count: givenUp }, "webhooks given up, which their hosts' trouble held back to the end");
      }
      most = Math.max(givenUp, forgotten);
    }
  }

  /** A delivery was made or asked for again. */
  #hint(id: string, name: string): void {
    const host = this.#host(name);
    // Behind those that wait for the same host already, and once what is in flight has ended.
    if (host.more || host.inFlight.has(id) || !this.#admits(host)) {
      host.more = true;
      host.newest = id;
    } else void this.#watched(() => this.#sendOne(this.#enter(host, id)));
  }

  async #sendOne(place: Place): Promise<void> {
    const { deliveries, clock } = this.#options;
    let delivery: Delivery | undefined;
    try {
      delivery = await deliveries.get(place.id);
    } catch (error) {
      this.#leaveUntried(place);
      throw error;
    }
    if (delivery?.dueAt != null && delivery.dueAt <= clock.now()) await this.#send(place, delivery);
    else this.#leaveUntried(place);
  }

  /** Sends as much of what is due for `host` as there is room for. */
  async #pull(host: Host): Promise<void> {
    const { deliveries, clock } = this.#options;
    if (host.reading !== null || !this.#admits(host)) {
      host.more = true;
      return;
    }
    const { newest } = host;
    host.newest = null;
    if (host.breaker.open && newest !== null && !host.inFlight.has(newest)) {
      // The oldest may all be for one path of somebody's that is broken, while the host takes what others send.
      host.more = true;
      void this.#watched(() => this.#sendOne(this.#enter(host, newest)));
      return;
    }
    host.more = false;
    host.reading = new Set(host.inFlight);
    const wanted = host.breaker.open ? 1 : this.#free(host);
    const limit = wanted + host.inFlight.size; // the store tells of those in flight too
    let due: readonly Delivery[];
    let begun: ReadonlySet<string>;
    try {
      due = await deliveries.due(host.name, clock.now(), limit);
    } finally {
      begun = host.reading;
      host.reading = null;
    }
    if (due.length === limit) host.more = true;
    for (const delivery of due) {
      if (begun.has(delivery.id)) continue;
      if (!this.#admits(host)) {
        host.more = true;
        break;
      }
      const place = this.#enter(host, delivery.id);
      void this.#watched(() => this.#send(place, delivery));
    }
  }

  #host(name: string): Host {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const host: Host = {
      name,
      breaker: new Breaker(),
      inFlight: new Set(),
      quick: false,
      more: false,
      newest: null,
      reading: null,
      usedAt: this.#options.clock.now(),
    };
    this.#hosts.set(name, host);
    return host;
  }

  /** How many tries more may begin at `host`, its breaker aside. */
  #free({ quick, inFlight }: Host): number {
    return Math.max(0, this.#room.limit(quick) - inFlight.size);
  }

  /** Whether a try may begin at `host`. One that nothing but other hosts keep from it goes on when they end. */
  #admits(host: Host): boolean {
    if (this.#stopping.signal.aborted || !host.breaker.admits(this.#options.clock.now())) return false;
    const free = this.#free(host);
    if (free === 0 && host.inFlight.size === 0) this.#crowdedOut[host.quick ? "quick" : "others"].add(host);
    return free > 0;
  }

  #enter(host: Host, id: string): Place {
    host.inFlight.add(id);
    host.reading?.add(id);
    host.usedAt = this.#options.clock.now();
    return { host, id, pass: host.breaker.pass(), leave: this.#room.take(host.quick) };
  }

  async #send(place: Place, delivery: Delivery): Promise<void> {
    const at = this.#options.clock.now();
    const posted = await this.#post(delivery);
    if (posted === undefined) return this.#leaveUntried(place);
    if (delivery.tries === 0) this.#options.metrics.webhookFirstTried((at - delivery.outcome.finishedAt) / 1000);
    const now = this.#options.clock.now();
    const verdict = verdictOf(posted, now);
    this.#judgeHost(place, verdict, now, now - at);
    const attempt = { at, tookMs: now - at, status: verdict.status, error: verdict.error };
    const mark = markOf(delivery, verdict, attempt, now);
    if (await this.#mark(place.id, mark)) this.#tell(place.host.name, delivery, mark);
    this.#leave(place);
  }

  async #post(delivery: Delivery): Promise<Posted | undefined> {
    const { poster, secrets, log } = this.#options;
    try {
      const body = webhookBody(delivery);
      // Not this process's clock, which stands still while the machine sleeps: a receiver holds the time against its own.
      const signed = signedHeaders(delivery.id, Date.now(), body, secrets.secretsOf(delivery.owner));
      const headers = { "content-type": "application/json", "user-agent": "inferq", ...signed };
      return await poster.post(new URL(delivery.url), headers, body);
    } catch (err) {
      log.error({ request: delivery.id, owner: delivery.owner, err }, "a webhook could not be made");
      return { status: null, error: "The server could not make this webhook; its log tells more.", ownFault: true };
    }
  }

  #judgeHost({ host, pass }: Place, { hostFailed, retryAfterMs, error }: Verdict, now: number, tookMs: number): void {
    const { log } = this.#options;
    if (hostFailed === null) return host.breaker.dropped(pass);
    host.quick = !hostFailed && tookMs <= QUICK_MS;
    if (!hostFailed) {
      if (host.breaker.succeeded(pass)) log.info({ host: host.name }, "webhooks to this host go on");
    } else if (host.breaker.failed(pass, now, retryAfterMs)) {
      log.warn({ host: host.name, error }, "webhooks to this host are held back until it takes one");
    }
  }

  /** Writes what became of a try, as often as it takes: until then it keeps its place, so that it is not sent again. False: nobody needs it any more. */
  async #mark(id: string, mark: DeliveryMark): Promise<boolean> {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#options.deliveries.mark(id, mark);
      } catch (err) {
        if (failures === 0)
          this.#options.log.warn({ request: id, err }, "a try of a webhook could not be written down");
        await wait(MARK_AGAIN_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
        if (this.#stopping.signal.aborted) return false;
      }
    }
  }

  #tell(host: string, { id: request, owner, tries }: Delivery, { type, attempt }: DeliveryMark): void {
    const { log, metrics } = this.#options;
    const { status, error } = attempt;
    const fields = { request, owner, host, status, tries: tries + 1, tookMs: Math.round(attempt.tookMs) };
    metrics.webhookTried(type);
    if (type === "delivered") log.info(fields, "webhook delivered");
    else if (type === "retry") log.warn({ ...fields, error }, "webhook failed; it is tried again");
    else log.error({ ...fields, error }, "webhook given up");
  }

  #leaveUntried(place: Place): void {
    place.host.breaker.dropped(place.pass);
    this.#leave(place);
  }

  /** Gives the place back, to those first that have none. */
  #leave({ host, id, leave }: Place): void {
    host.inFlight.delete(id);
    leave();
    if (this.#stopping.signal.aborted) {
      if (this.#room.taken === 0) this.#idle.resolve();
      return;
    }
    for (const waiting of [this.#crowdedOut.quick, this.#crowdedOut.others]) {
      const [first] = waiting;
      if (first === undefined || this.#room.limit(first.quick) === 0) continue;
      waiting.delete(first);
      void this.#watched(() => this.#pull(first));
    }
    // When half of its places are free, and not for each: that would be as many reads as tries.
    if (host.more && host.inFlight.size <= this.#free(host)) void this.#watched(() => this.#pull(host));
  }

  async #watched(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (err) {
      this.#options.log.warn({ err }, "the deliveries could not be read; they are looked for again");
    }
  }
}

function markOf(delivery: Delivery, verdict: Verdict, attempt: DeliveryAttempt, now: number): DeliveryMark {
  if (verdict.error === null) return { type: "delivered", attempt };
  const dueAt = verdict.final ? null : nextTry(delivery, now, verdict.retryAfterMs);
  return dueAt === null ? { type: "failed", attempt } : { type: "retry", attempt, dueAt };
}

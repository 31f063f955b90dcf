/**
 * One client that follows a request. Nothing is kept for it but how far it has read: what it has not read is
 * in the log, or, once it is not any more, lost to it. It is sent the next thing when the one before has left.
 */
import type { ServerResponse } from "node:http";
import { isFinished } from "../core/request.ts";
import { endOf, event, HEARTBEAT, retryField } from "../wire/events.ts";
import type { EventTopic, Reading, State } from "./event-topic.ts";

/** Proxies close connections on which nothing came for a minute. */
const HEARTBEAT_MS = 15_000;
/** So much text is gathered for one write, UTF-16 units. */
const ONE_WRITE = 32 * 1024;
/** Whoever has not read one write in this time is cut off. It comes again, and goes on where it was. */
const STUCK_MS = 60_000;
/** When a client that was cut off comes again: not all at the same time, ms. */
const RETRY_MS = 1_000;
const RETRY_SPREAD_MS = 2_000;

export interface Follower {
  readonly response: ServerResponse;
  /** The id up to which it has read. */
  readonly after: string;
  /** Whether its permission still holds. */
  readonly mayFollow: () => boolean;
  /** It is told what there is now, and nothing later. */
  readonly once: boolean;
}

export class EventStream {
  readonly #topic: EventTopic;
  readonly #response: ServerResponse;
  readonly #mayFollow: () => boolean;
  readonly #once: boolean;
  /** Id of what was told last. */
  #at: string;
  /** Key of the state that was told last. */
  #told = "";
  /** Before all else, once. */
  #unsent: string = retryField(RETRY_MS + Math.floor(Math.random() * RETRY_SPREAD_MS));
  /** When something was sent last, ms. */
  #sentAt = 0;
  /** Since when the client has not read what was sent, ms. */
  #fullSince: number | null = null;
  #isOver = false;
  #isTelling = false;
  #hasMore = false;

  constructor(topic: EventTopic, { response, after, mayFollow, once }: Follower) {
    this.#topic = topic;
    this.#response = response;
    this.#mayFollow = mayFollow;
    this.#once = once;
    this.#at = after;
  }

  /** Sends what the client does not know yet, as far as it reads it; the rest when it has. `now` in ms. */
  async tell(now: number): Promise<void> {
    this.#hasMore = true;
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#hasMore && this.#isOpen) {
      this.#hasMore = false;
      const text = await this.#gather();
      if (this.#once && !this.#hasMore) this.#isOver = true;
      this.#send(text, now);
    }
    this.#isTelling = false;
  }

  /** The client has read what was sent. */
  drained(now: number): void {
    this.#fullSince = null;
    void this.tell(now);
  }

  /** To be called about twice a second. */
  check(now: number): void {
    if (this.#fullSince !== null && now - this.#fullSince > STUCK_MS) return void this.#response.destroy();
    if (!this.#mayFollow()) return this.end(now);
    if (this.#isOpen && !this.#isTelling && now - this.#sentAt >= HEARTBEAT_MS) this.#send(HEARTBEAT, now);
  }

  /** Nothing more is told. Its client comes again, unless it knows the outcome. */
  end(now: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#fullSince ??= now;
    this.#response.end();
  }

  get #isOpen(): boolean {
    return !this.#isOver && this.#fullSince === null && !this.#response.destroyed;
  }

  /** The next things to tell, as many as one write takes. */
  async #gather(): Promise<string> {
    let text = this.#unsent;
    this.#unsent = "";
    try {
      while (!this.#isOver && text.length <= ONE_WRITE) {
        const state = this.#topic.state;
        const reading = this.#topic.read(this.#at);
        const more = this.#next(state, reading instanceof Promise ? await reading : reading);
        if (more === undefined) return text;
        text += more;
      }
      this.#hasMore = true;
    } catch {
      // The log cannot tell now: the next round asks again.
    }
    return text;
  }

  /**
   * The next thing, undefined where all is told. What an attempt has told comes between its beginning and what
   * became of it; the log may know of an attempt before the state does.
   */
  #next({ view, key, data }: State, reading: Reading): string | undefined {
    if (view === undefined) {
      this.#isOver = true;
      return event("gone", this.#at, data);
    }
    const { status, leases } = view;
    const isNews = key !== this.#told;
    const isFirst = this.#told === "" || (status === "PROCESSING" && reading?.attempt === leases);
    if (reading !== undefined && reading.attempt <= leases && !(isNews && isFirst && !isFinished(status))) {
      this.#at = reading.piece.id;
      return reading.piece.text;
    }
    if (!isNews) return undefined;
    this.#told = key;
    if (isFinished(status)) {
      this.#isOver = true;
      this.#at = endOf(this.#at);
    }
    return event("status", this.#at, data);
  }

  #send(text: string, now: number): void {
    const response = this.#response;
    if (response.destroyed || response.writableEnded || (text === "" && !this.#isOver)) return;
    this.#sentAt = now;
    if (this.#isOver) response.end(text);
    if (this.#isOver || !response.write(text)) this.#fullSince = now;
  }
}

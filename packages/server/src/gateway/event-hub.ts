/**
 * Following requests. As with waiting (waiter.ts) the hints of the store and of the log say only that it is
 * time to look, and looking is what counts; one shared round finds what a lost hint would have told, where a
 * request stands in the queue, and whose permission is over.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { isFinished } from "../core/request.ts";
import type { RequestStatus } from "../store/store.ts";
import type { GatewayContext } from "./context.ts";
import { EventStream, type Follower } from "./event-stream.ts";
import { EventTopic } from "./event-topic.ts";

/** How often all streams are looked after: within a second whoever has no good key any more is cut off. */
const ROUND_MS = 500;
/** In every so many rounds the position of what waits is looked at. */
const POSITIONS_EVERY = 2;
/** In every so many rounds each request is looked at, for a hint may be lost. */
const ALL_EVERY = 10;
/** Clients told in one turn of the event loop: others are served between. */
const IN_ONE_TURN = 64;
/** Requests looked at in one turn, which costs far less. */
const LOOKS_IN_ONE_TURN = 1_024;

export interface EventHub {
  /** Tells of the request that `view` shows, from now on until its outcome or its end. The head of the answer has been written. */
  follow(view: RequestStatus, follower: Follower): void;
  /** Ends every stream; from then on each is told what there is, and no more. */
  stop(): void;
}

export function eventHub(context: GatewayContext): EventHub {
  const { store, events: log, clock } = context;
  const topics = new Map<string, EventTopic>();
  /** Requests of which there was a hint. */
  const hinted = new Set<EventTopic>();
  /** Streams whose clients have something to be told. An outcome comes first: what went before it is then told with it. */
  const due = { last: new Set<EventStream>(), next: new Set<EventStream>() };
  let isScheduled = false;
  let round: NodeJS.Timeout | undefined;
  let rounds = 0;
  const stopping = new AbortController();

  const forgetWakes = store.onWake?.((wake) => {
    if (wake.type === "changed" || wake.type === "finished") hint(wake.id);
  });
  const forgetAppends = log.onAppend(hint);

  function follow(view: RequestStatus, follower: Follower): void {
    const { response } = follower;
    if (response.closed) return;
    const topic = topics.get(view.id) ?? new EventTopic(context, log, view);
    const once = follower.once || stopping.signal.aborted;
    const stream = new EventStream(topic, { ...follower, once });
    topic.streams.add(stream);
    topics.set(view.id, topic);
    response.on("drain", () => stream.drained(clock.now()));
    response.on("close", () => {
      due.last.delete(stream);
      due.next.delete(stream);
      topic.streams.delete(stream);
      if (topic.streams.size === 0) topics.delete(topic.id);
    });
    round ??= stopping.signal.aborted ? undefined : setTimeout(() => void lookAfterAll(), ROUND_MS);
    if (topic.found(view)) tellAll(topic);
    void stream.tell(clock.now());
  }

  function hint(id: string): void {
    const topic = topics.get(id);
    if (topic === undefined) return;
    topic.forget();
    hinted.add(topic);
    schedule();
  }

  function tellAll(topic: EventTopic): void {
    topic.forget();
    const { view } = topic.state;
    const isLast = view === undefined || isFinished(view.status);
    for (const stream of topic.streams) (isLast ? due.last : due.next).add(stream);
    schedule();
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(work);
  }

  /** However much is told in one turn, each client is told once, of all of it. */
  function work(): void {
    isScheduled = false;
    for (const topic of first(hinted, LOOKS_IN_ONE_TURN)) void look(topic, true);
    const now = clock.now();
    for (const stream of first(due.last, IN_ONE_TURN)) void stream.tell(now);
    if (due.last.size === 0) for (const stream of first(due.next, IN_ONE_TURN)) void stream.tell(now);
    if (hinted.size + due.last.size + due.next.size > 0) schedule();
  }

  /** No promise unless the store needs one. `hasMore`: the log is read too, whatever the state is. */
  function look(topic: EventTopic, hasMore: boolean): void | Promise<void> {
    const found = (view: RequestStatus | undefined): void => {
      if (topic.found(view) || hasMore) tellAll(topic);
    };
    try {
      const view = store.status(topic.id);
      if (view instanceof Promise) return view.then(found, cannotTell);
      found(view);
    } catch {
      cannotTell();
    }
  }

  async function lookAfterAll(): Promise<void> {
    rounds += 1;
    const all = forgetWakes === undefined || rounds % ALL_EVERY === 0;
    const positions = rounds % POSITIONS_EVERY === 0;
    let asked: Promise<void>[] = [];
    let inThisTurn = 0;
    const others = async (): Promise<void> => {
      if (++inThisTurn < IN_ONE_TURN) return;
      await Promise.all(asked);
      await nextTurn();
      asked = [];
      inThisTurn = 0;
    };
    for (const topic of topics.values()) {
      if (all || (positions && topic.state.view?.status === "QUEUED")) {
        const later = look(topic, all);
        if (later !== undefined) asked.push(later);
      }
      for (const stream of topic.streams) {
        stream.check(clock.now());
        await others();
        if (stopping.signal.aborted) return;
      }
    }
    round = topics.size === 0 ? undefined : setTimeout(() => void lookAfterAll(), ROUND_MS);
  }

  return {
    follow,
    stop() {
      stopping.abort();
      forgetWakes?.();
      forgetAppends();
      clearTimeout(round);
      for (const topic of topics.values()) for (const stream of topic.streams) stream.end(clock.now());
    },
  };
}

/** Takes the first `most` out of `set`. */
function* first<T>(set: Set<T>, most: number): Generator<T> {
  for (const one of set) {
    if (most-- === 0) return;
    set.delete(one);
    yield one;
  }
}

/** The next round asks again. */
function cannotTell(): void {}

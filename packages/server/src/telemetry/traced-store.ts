/**
 * Logs and counts what happens to requests, once, around any store: drivers hold none of it. One line
 * for each event, with `request`, the id, and `owner`, whose key it was. What a model or a client says is
 * told at the level `debug` only: a failure's sentence may quote the input.
 */
import type { Logger } from "pino";
import { type Failure, isFinished } from "../core/request.ts";
import type { ExpiredRequest, RequestStatus, RequestStore, Settlement, Swept } from "../store/store.ts";
import type { Metrics } from "./metrics.ts";

export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "accepted" | "finished" | "leasesLost" | "deadLetter">;
}

/** `store`, observed. Reads pass through untouched: a status poll costs what it cost before. */
export function tracedStore(store: RequestStore, { logger, metrics }: Telemetry): RequestStore {
  const debug = logger.isLevelEnabled("debug");
  /** What the last sweep named: nothing else knows whose an expired request was. */
  let expired: ReadonlyMap<string, ExpiredRequest> = new Map();

  const why = (failure: Failure): object => ({ code: failure.code, ...(debug && { reason: failure.message }) });

  const tellOutcome = (view: RequestStatus): void => {
    const { id: request, owner, model, leases: attempt, failure, status } = view;
    metrics.finished(model, failure?.code ?? status);
    if (failure === null) {
      const inferenceMs = Math.round(view.inferenceMs ?? 0);
      logger.info({ request, owner, model, attempt, inferenceMs }, "request completed");
    } else if (failure.code === "cancelled") {
      logger.info({ request, owner, model, attempt, code: failure.code }, "request cancelled");
    } else logger.warn({ request, owner, model, attempt, ...why(failure) }, "request failed");
  };

  const tellSettled = (view: RequestStatus, settlement: Settlement): void => {
    if (isFinished(view.status)) return tellOutcome(view);
    const fields = { request: view.id, owner: view.owner, model: view.model, attempt: view.leases };
    if (settlement.type === "fail") logger.warn({ ...fields, ...why(settlement.failure) }, "request is tried again");
    else logger.info(fields, "request given back to the queue");
  };

  const tellLost = (view: RequestStatus): void => {
    metrics.leasesLost(1);
    if (view.status === "FAILED") return tellOutcome(view);
    const { id: request, owner, model, leases: attempt } = view;
    logger.warn({ request, owner, model, attempt }, "lease ran out; request is tried again");
  };

  /** Tells of a write that has happened, whatever becomes of the telling. */
  const tell = (id: string, how: (view: RequestStatus) => void): void => {
    const silent = (err: unknown): void => logger.warn({ request: id, err }, "an outcome could not be told");
    try {
      const view = store.status(id);
      if (view instanceof Promise) view.then((later) => later && how(later)).catch(silent);
      else if (view !== undefined) how(view);
    } catch (err) {
      silent(err);
    }
  };

  const tellExpired = (request: ExpiredRequest): void => {
    const { id, owner, model, status } = request;
    const finished = isFinished(status);
    if (!finished) metrics.finished(model, "expired");
    const fields = { request: id, owner, model, status };
    if (finished) logger.debug(fields, "request expired");
    else logger.warn(fields, "request expired before it had an outcome");
  };

  store.onDeadLetter?.(({ id: request, owner, model, leases: attempt, failure }) => {
    metrics.deadLetter(model);
    logger.warn({ request, owner, model, attempt, ...why(failure!) }, "request used up its attempts: a dead letter");
  });

  return {
    async enqueue(submission) {
      const answer = await store.enqueue(submission);
      if (answer.ok) metrics.accepted(submission.model);
      return answer;
    },
    status: (id) => store.status(id),
    get: (id) => store.get(id),
    list: (wish) => store.list(wish),
    deadLetters: (wish) => store.deadLetters(wish),
    pastAttempts: (id) => store.pastAttempts(id),
    ...(store.load === undefined ? {} : { load: store.load }),
    ...(store.outlook === undefined ? {} : { outlook: store.outlook.bind(store) }),
    async lease(wish) {
      const leases = await store.lease(wish);
      if (debug) {
        for (const { id: request, owner, model, attempt } of leases) {
          logger.debug({ request, owner, model, attempt }, "request leased");
        }
      }
      return leases;
    },
    heartbeat: (leases, leaseMs) => store.heartbeat(leases, leaseMs),
    async settle(id, token, settlement) {
      const answer = await store.settle(id, token, settlement);
      if (answer.ok) tell(id, (view) => tellSettled(view, settlement));
      return answer;
    },
    async finish(id, finish) {
      const done = await store.finish(id, finish);
      const named = expired.get(id);
      if (done && finish.type === "cancel") tell(id, tellOutcome);
      else if (done && finish.type === "expire" && named !== undefined) tellExpired(named);
      return done;
    },
    expireBy: (id, at) => store.expireBy(id, at),
    async sweep(limit): Promise<Swept> {
      const swept = await store.sweep(limit);
      for (const id of swept.lost) tell(id, tellLost);
      for (const id of swept.startTimedOut) tell(id, tellOutcome);
      expired = new Map(swept.expired.map((request) => [request.id, request]));
      return swept;
    },
    stats: () => store.stats(),
    ...(store.onWake === undefined ? {} : { onWake: store.onWake.bind(store) }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

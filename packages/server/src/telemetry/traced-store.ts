/** Logs and counts what happens to requests, once, around any store: drivers hold none of it. */
import type { Logger } from "pino";
import type { Failure } from "../core/request.ts";
import type { RequestStatus, RequestStore, Settlement } from "../store/store.ts";
import type { Metrics } from "./metrics.ts";

export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "accepted" | "finished" | "leasesLost" | "startTimedOut">;
}

/** `store`, observed. Reads pass through untouched: a status poll costs what it cost before. */
export function tracedStore(store: RequestStore, { logger, metrics }: Telemetry): RequestStore {
  const tell = (view: RequestStatus | undefined, failure: Failure | null): void => {
    if (view === undefined) return;
    const { id, model, owner, inferenceMs } = view;
    metrics.finished(model, failure?.code ?? view.status);
    if (failure === null) logger.info({ id, owner, model, inferenceMs }, "request completed");
    else logger.warn({ id, owner, model, code: failure.code, reason: failure.message }, "request failed");
  };

  /** Tells of a write that has happened, whatever becomes of the telling. */
  const tellOutcome = (id: string, failure: Failure | null): void => {
    const view = store.status(id);
    if (!(view instanceof Promise)) return tell(view, failure);
    view.then(
      (later) => tell(later, failure),
      (err: unknown) => logger.warn({ id, err }, "an outcome could not be told"),
    );
  };

  return {
    async enqueue(submission) {
      await store.enqueue(submission);
      metrics.accepted(submission.model);
    },
    status: (id) => store.status(id),
    get: (id) => store.get(id),
    async lease(wish) {
      const leases = await store.lease(wish);
      for (const { id, model, attempt } of leases) logger.debug({ id, model, attempt }, "request leased");
      return leases;
    },
    async heartbeat(leases, leaseMs) {
      const gone = await store.heartbeat(leases, leaseMs);
      if (gone.length > 0) logger.warn({ leases: gone.length }, "leases were lost");
      return gone;
    },
    async settle(id, token, settlement) {
      const answer = await store.settle(id, token, settlement);
      if (!answer.ok) logger.warn({ id, settlement: settlement.type, refusal: answer.refusal }, "a settle was refused");
      else if (answer.status === "QUEUED") logger.info({ id, reason: reasonOf(settlement) }, "request is tried again");
      else tellOutcome(id, settlement.type === "fail" ? settlement.failure : null);
      return answer;
    },
    async finish(id, finish) {
      const done = await store.finish(id, finish);
      if (done && finish.type === "cancel") tellOutcome(id, finish.failure);
      else if (done) logger.debug({ id, how: finish.type }, "request removed");
      return done;
    },
    async sweep(limit) {
      const swept = await store.sweep(limit);
      metrics.leasesLost(swept.lost);
      metrics.startTimedOut(swept.startTimedOut);
      if (swept.lost > 0) logger.warn({ lost: swept.lost }, "leases ran out");
      if (swept.startTimedOut > 0) logger.warn({ requests: swept.startTimedOut }, "requests were not started in time");
      return swept;
    },
    stats: () => store.stats(),
    ...(store.onWake === undefined ? {} : { onWake: store.onWake.bind(store) }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function reasonOf(settlement: Settlement): string {
  return settlement.type === "fail" ? settlement.failure.message : settlement.type;
}

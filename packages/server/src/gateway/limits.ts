/**
 * What may be submitted: requests a second and in flight of each key, waiting of each model and on the whole
 * server, and room on the disk. The store counts what it holds; what is being written to it is counted here, so
 * that a thousand submits at once keep to a limit of five. Keys and models without a limit pay a few comparisons.
 */
import type { ServerResponse } from "node:http";
import type { CatalogEntry } from "../model/catalog.ts";
import type { ApiKey } from "../store/keys.ts";
import { LimitError, type LimitCode } from "./limit-error.ts";
import type { GatewayOptions } from "./options.ts";
import { placesPolicy, type Quota, rateLimitHeaders, ratePolicy } from "./rate-limit-headers.ts";
import { afterOne, FULL, type Rate, secondsToNext, tokensIn } from "./token-bucket.ts";

/** Why there is no place for one request more. */
export type Fault = Exclude<LimitCode, "rate_limited" | "too_many_failures">;

export interface Limits {
  /** Whether a submit goes through; if so it has counted for its key's rate, else nothing has happened. */
  lets(caller: ApiKey, model: CatalogEntry): boolean;
  /** Counts a submit for its key's rate. Throws `rate_limited`. */
  count(caller: ApiKey): void;
  /** Why there is no place. `withBodies`: those whose bodies are being read have theirs already. */
  fault(caller: ApiKey, model: CatalogEntry, withBodies?: boolean): Fault | undefined;
  /** The answer to a `fault`. */
  refusal(code: Fault, caller: ApiKey, model: CatalogEntry): LimitError;
  /** Undefined: what the store counts is whole. Else it has just been opened, and this resolves when it is. */
  counting(caller: ApiKey, model: CatalogEntry): Promise<void> | undefined;
  /** Keeps a place of its key for a submit whose body is to be read. The answer gives it back, once however often it is called; null: its key has no limit. */
  keepPlace(caller: ApiKey): (() => void) | null;
  /** A request is about to be written; `leave` must follow. Throws the `refusal` where there is a `fault`. */
  enter(caller: ApiKey, model: CatalogEntry): void;
  /** It has been written, as `id`, or not. */
  leave(caller: ApiKey, model: CatalogEntry, id: string | null): void;
  /** Throws `disk_full`. */
  checkDisk(): void;
  /** Adds to `headers`, names and values in turn, what is left of the caller's limits, where it has some. */
  addTo(headers: string[], caller: ApiKey): void;
  /** The same, set on `response`. */
  describe(caller: ApiKey, response: ServerResponse): void;
}

/** Of a key with limits, by its name: that stays when it is rotated. */
interface KeyState {
  /** When its bucket of requests is full. */
  fullAt: number;
  /** Its submits whose bodies are being read, of those that may be large. */
  bodies: number;
  /** Its requests that are being written. */
  writing: number;
  /** The request that was accepted last. */
  latest: string | undefined;
}

/** Of a model with a limit. */
interface ModelState {
  writing: number;
  latest: string | undefined;
}

/** Wait where nothing tells how long it will be. */
const UNKNOWN_SECONDS = 5;
/** Nobody is sent away for longer: an estimate is none for so long. */
const MOST_SECONDS = 60;
const NO_HEADERS: Readonly<Record<string, string>> = {};
/** A limit that goes on being met is told so often, for each key or model. */
const TELL_EVERY_MS = 60_000;

export type LimitsContext = Pick<GatewayOptions, "store" | "settings" | "disk" | "clock" | "logger" | "metrics">;

export function limiter({ store, settings, disk, clock, logger, metrics }: LimitsContext): Limits {
  const { load } = store;
  if (load === undefined) throw new Error("The store does not count its requests: no limit would hold.");
  const keys = new Map<string, KeyState>();
  const models = new Map<string, ModelState>();
  const told = new Map<string, number>();
  /** Requests that are being written, of all keys and models. */
  let writing = 0;

  const rateOf = (caller: ApiKey): Rate | undefined => {
    const perSecond = caller.requestsPerSecond ?? settings.keyRequestsPerSecond;
    return perSecond === null ? undefined : { perSecond, burst: Math.max(1, perSecond) };
  };
  const inFlightOf = (caller: ApiKey): number | null => caller.requestsInFlight ?? settings.keyRequestsInFlight;

  const keyState = ({ name }: ApiKey): KeyState => {
    let state = keys.get(name);
    if (state === undefined) keys.set(name, (state = { fullAt: FULL, bodies: 0, writing: 0, latest: undefined }));
    return state;
  };
  const modelState = ({ definition: { name } }: CatalogEntry): ModelState => {
    let state = models.get(name);
    if (state === undefined) models.set(name, (state = { writing: 0, latest: undefined }));
    return state;
  };

  /** Takes a token, where there is one. */
  const take = (caller: ApiKey, rate: Rate): boolean => {
    const state = keyState(caller);
    const now = clock.now();
    if (tokensIn(state.fullAt, rate, now) < 1) return false;
    state.fullAt = afterOne(state.fullAt, rate, now);
    return true;
  };

  const unfinished = (caller: ApiKey): number => load.unfinishedOf(caller.name) + keyState(caller).writing;

  const fault: Limits["fault"] = (caller, model, withBodies = false) => {
    const inFlight = inFlightOf(caller);
    if (inFlight !== null) {
      const bodies = withBodies ? keyState(caller).bodies : 0;
      if (unfinished(caller) + bodies >= inFlight) return "too_many_in_flight";
    }
    if (model.waitingLimit !== null) {
      const waiting = load.waitingFor(model.definition.name) + modelState(model).writing;
      if (waiting >= model.waitingLimit) return "model_queue_full";
    }
    if (load.waiting + writing >= settings.waitingLimit) return "server_queue_full";
    return disk.isFull ? "disk_full" : undefined;
  };

  /** When a place is free, of as many as are taken: the latest one will be done when all before it are, one after the other. */
  const placeInSeconds = (latest: string | undefined, taken: number): number => {
    const remainingMs = latest === undefined ? undefined : store.outlook?.(latest)?.remainingMs;
    if (!remainingMs) return UNKNOWN_SECONDS;
    return Math.min(MOST_SECONDS, Math.max(1, Math.ceil(remainingMs[1] / Math.max(1, taken) / 1000)));
  };

  /** How the limits of `caller` stand. */
  const quotasOf = (caller: ApiKey): Quota[] => {
    const quotas: Quota[] = [];
    const rate = rateOf(caller);
    if (rate !== undefined) {
      const { fullAt } = keyState(caller);
      const now = clock.now();
      const left = tokensIn(fullAt, rate, now);
      quotas.push({
        name: "requests",
        policy: ratePolicy(rate),
        left,
        moreInSeconds: secondsToNext(fullAt, rate, now),
      });
    }
    const most = inFlightOf(caller);
    if (most !== null) {
      const left = most - unfinished(caller);
      quotas.push({ name: "in-flight", policy: placesPolicy(most), left, moreInSeconds: null });
    }
    return quotas;
  };

  const headersFor = (caller: ApiKey): Readonly<Record<string, string>> =>
    rateOf(caller) === undefined && inFlightOf(caller) === null ? NO_HEADERS : rateLimitHeaders(quotasOf(caller));

  /** Makes the error, counts it, and tells of it now and then. */
  const refuse = (
    code: LimitCode,
    of: { readonly key?: string; readonly owner?: string; readonly model?: string },
    values: Readonly<Record<string, string | number>>,
    seconds: number,
    quotas: readonly Quota[],
  ): LimitError => {
    metrics.refused(code);
    const about = `${code} ${of.key ?? of.model ?? ""}`;
    if ((told.get(about) ?? 0) <= clock.now()) {
      told.set(about, clock.now() + TELL_EVERY_MS);
      logger.warn({ ...of, code, limit: values["limit"] }, "limit reached; it is told once a minute");
    }
    return new LimitError(code, { ...values, seconds }, seconds, rateLimitHeaders(quotas));
  };

  const refusal: Limits["refusal"] = (code, caller, model) => {
    const quotas = quotasOf(caller);
    const { name } = model.definition;
    switch (code) {
      case "too_many_in_flight": {
        const limit = inFlightOf(caller)!;
        const seconds = placeInSeconds(keyState(caller).latest, limit);
        const known = quotas.map((quota) =>
          quota.name === "in-flight" ? { ...quota, left: 0, moreInSeconds: seconds } : quota,
        );
        return refuse(code, { key: caller.name, owner: caller.owner }, { limit }, seconds, known);
      }
      case "model_queue_full": {
        const limit = model.waitingLimit!;
        const seconds = placeInSeconds(modelState(model).latest, limit);
        quotas.push({ name: "model-waiting", policy: placesPolicy(limit), left: 0, moreInSeconds: seconds });
        return refuse(code, { model: name }, { limit, model: name }, seconds, quotas);
      }
      case "server_queue_full": {
        const limit = settings.waitingLimit;
        quotas.push({ name: "server-waiting", policy: placesPolicy(limit), left: 0, moreInSeconds: UNKNOWN_SECONDS });
        return refuse(code, {}, { limit }, UNKNOWN_SECONDS, quotas);
      }
      case "disk_full":
        return refuse(code, {}, { limit: settings.diskReserveBytes }, UNKNOWN_SECONDS, quotas);
    }
  };

  return {
    lets(caller, model) {
      if (fault(caller, model) !== undefined) return false;
      const rate = rateOf(caller);
      return rate === undefined || take(caller, rate);
    },
    count(caller) {
      const rate = rateOf(caller);
      if (rate === undefined || take(caller, rate)) return;
      const seconds = secondsToNext(keyState(caller).fullAt, rate, clock.now());
      throw refuse(
        "rate_limited",
        { key: caller.name, owner: caller.owner },
        { limit: rate.perSecond },
        seconds,
        quotasOf(caller),
      );
    },
    fault,
    refusal,
    counting(caller, model) {
      if (inFlightOf(caller) === null && model.waitingLimit === null) return undefined;
      return load.counting;
    },
    keepPlace(caller) {
      if (inFlightOf(caller) === null) return null;
      const state = keyState(caller);
      let kept = 1;
      state.bodies += kept;
      return () => {
        state.bodies -= kept;
        kept = 0;
      };
    },
    enter(caller, model) {
      const code = fault(caller, model);
      if (code !== undefined) throw refusal(code, caller, model);
      writing += 1;
      if (inFlightOf(caller) !== null) keyState(caller).writing += 1;
      if (model.waitingLimit !== null) modelState(model).writing += 1;
    },
    leave(caller, model, id) {
      writing -= 1;
      if (inFlightOf(caller) !== null) left(keyState(caller), id);
      if (model.waitingLimit !== null) left(modelState(model), id);
    },
    checkDisk() {
      if (disk.isFull) throw refuse("disk_full", {}, { limit: settings.diskReserveBytes }, UNKNOWN_SECONDS, []);
    },
    addTo(headers, caller) {
      for (const [name, value] of Object.entries(headersFor(caller))) headers.push(name, value);
    },
    describe(caller, response) {
      for (const [name, value] of Object.entries(headersFor(caller))) response.setHeader(name, value);
    },
  };
}

function left(state: KeyState | ModelState, id: string | null): void {
  state.writing -= 1;
  if (id !== null) state.latest = id;
}

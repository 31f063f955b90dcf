/** A server process on the simulated machine, its parts wired as `startServer` wires them. */
import { fsBlobStore } from "../../../packages/server/src/blob/fs.ts";
import type { BlobStore } from "../../../packages/server/src/blob/blob-store.ts";
import { type Clock, systemClock } from "../../../packages/server/src/core/clock.ts";
import { materialize } from "../../../packages/server/src/media/materialize.ts";
import { openKeys } from "../../../packages/server/src/server/open-keys.ts";
import type { KeyStore } from "../../../packages/server/src/store/keys.ts";
import { sqliteStore, type SqliteStore } from "../../../packages/server/src/store/sqlite/sqlite-store.ts";
import type { RequestStore } from "../../../packages/server/src/store/store.ts";
import type { Metrics } from "../../../packages/server/src/telemetry/metrics.ts";
import { tracedStore } from "../../../packages/server/src/telemetry/traced-store.ts";
import { Sender } from "../../../packages/server/src/webhook/sender.ts";
import { Sweeper } from "../../../packages/server/src/worker/sweeper.ts";
import { Worker } from "../../../packages/server/src/worker/worker.ts";
import { machine, Process } from "../machine.ts";
import { type CallGateway, simulatedGateway } from "./gateway.ts";
import type { Ledger } from "./ledger.ts";
import { linked } from "./link.ts";
import { CATALOG, MODELS, modelStates } from "./models.ts";
import type { Receivers } from "./receivers.ts";
import { SimulatedRunner } from "./runner.ts";
import type { Settings } from "./settings.ts";

type Logger = Parameters<typeof tracedStore>[1]["logger"];

export const DATA = "/data";
export const FILES = `${DATA}/files`;

export interface World {
  readonly settings: Settings;
  readonly ledger: Ledger;
  readonly receivers: Receivers;
}

export interface SimulatedServer {
  readonly process: Process;
  readonly workers: readonly Process[];
  readonly clock: Clock;
  readonly store: SqliteStore;
  readonly blobs: BlobStore;
  readonly keys: KeyStore;
  readonly sweeper: Sweeper;
  readonly call: CallGateway;
  /** As SIGTERM does. Resolves when the process could end. */
  stop(): Promise<void>;
}

const METRICS = new Proxy({}, { get: () => () => undefined }) as Metrics;

/** Starts a server in `process`, on whose behalf this is called. Rejects where a real one would not start. */
export async function startSimulated(
  { settings, ledger, receivers }: World,
  process: Process,
): Promise<SimulatedServer> {
  const clock = systemClock();
  ledger.clock = clock;
  await using opened = new AsyncDisposableStack();
  const logger = loggerOf(ledger);
  const stored = opened.use(await sqliteStore({ directory: DATA, clock }));
  ledger.leases.opened(stored.unclean);
  const keys = opened.use(openKeys(DATA, clock));
  const blobs = fsBlobStore(FILES);
  const store = tracedStore(stored, { logger, metrics: METRICS });

  const poster = opened.use(receivers.poster());
  const { deliveries } = stored;
  const sender = opened.use(new Sender({ deliveries, secrets: keys, poster, clock, log: logger, metrics: METRICS }));
  const refuse = (): never => {
    throw new Error("Nothing is fetched here.");
  };
  const workers = ["a", "b"].map((name) => {
    const own = new Process(`worker ${name}`, process);
    return machine().as(own, () => {
      const models = MODELS.map(({ definition, timeoutMs }) => {
        const runner = new SimulatedRunner({ model: definition.name, settings, ledger });
        return { name: definition.name, definition, runner, timeoutMs };
      });
      const worker = new Worker({
        name,
        store: linked(store, process, own, ledger),
        events: stored.events,
        blobs,
        clock,
        log: logger,
        models,
        materialize: (input, schema, context) =>
          materialize(input, schema, { ...context, blobs, fetcher: refuse, limitBytes: 1_000_000 }),
        workDirectory: `${DATA}/work-${name}`,
        leaseMs: settings.leaseMs,
        stopGraceMs: settings.stopGraceMs,
        get durableLeases() {
          return stored.unclean;
        },
      });
      return { own, worker, models };
    });
  });
  const stateOf = (model: string) => workers[0]!.models.find(({ name }) => name === model)!.runner.state;
  modelStates(stateOf);
  const uploadTtlMs = settings.resultTtlSeconds * 1000;
  const sweeper = opened.use(
    new Sweeper({ store: expiring(store, ledger), blobs, clock, log: logger, metrics: METRICS, uploadTtlMs }),
  );
  let closing = false;
  opened.defer(async () => {
    await Promise.all(workers.map(({ own, worker }) => within(own, () => worker.stop())));
    closing = true; // until then everything is answered
  });
  const call = simulatedGateway(
    {
      store,
      events: stored.events,
      deliveries,
      blobs,
      keys,
      secrets: keys,
      staticKeys: [],
      models: CATALOG,
      settings: {
        bodyLimitBytes: 1_000_000,
        mediaLimitBytes: 1_000_000,
        allowPrivate: false,
        allowPrivateWebhooks: false,
        resultTtlSeconds: settings.resultTtlSeconds,
        resultTtlLimitSeconds: settings.resultTtlLimitSeconds,
        syncTimeoutSeconds: 60,
        waitLimitSeconds: 60,
        corsOrigins: [],
        publicUrl: null,
        trustedProxies: [],
        keyRequestsPerSecond: null,
        keyRequestsInFlight: null,
        waitingLimit: 10_000,
        diskReserveBytes: 0,
        remainingCredits: 0,
      },
      disk: { isFull: false },
      clock,
      logger,
      metrics: METRICS,
      readiness: () => "ready",
    },
    () => closing,
  );
  for (const { own, worker } of workers) await within(own, () => worker.start());
  sweeper.start();
  sender.start();

  const running = opened.move();
  return {
    process,
    workers: workers.map(({ own }) => own),
    clock,
    store: stored,
    blobs,
    keys,
    sweeper,
    call,
    stop: () => running.disposeAsync(),
  };
}

/** `store` as the sweeper has it: of what expires the files go first, so that none is left of a request that nobody knows of. */
function expiring(store: RequestStore, ledger: Ledger): RequestStore {
  /** Request that has expired and names files → all that it has. */
  const files = new Map<string, string[]>();
  const sweep: RequestStore["sweep"] = async (limit) => {
    ledger.leases.sweptAt = machine().time;
    const swept = await store.sweep(limit);
    for (const { id, hasFiles } of swept.expired) {
      if (!hasFiles) continue; // what its row does not name a worker or the scan clears away
      const tree = [...machine().disk.tree(`${FILES}/${id}`)];
      files.set(
        id,
        tree.filter(([, bytes]) => bytes !== null).map(([path]) => path),
      );
    }
    return swept;
  };
  const finish: RequestStore["finish"] = async (id, how) => {
    const isDone = await store.finish(id, how);
    const left = files.get(id)?.find((path) => machine().disk.exists(path));
    if (isDone && left !== undefined) ledger.fail(`expiry: ${left} is there when its row is not`);
    files.delete(id);
    return isDone;
  };
  return { ...store, sweep, status: store.status.bind(store), get: store.get.bind(store), finish };
}

/** Does `work` in a step of `other`, and answers in one of the present process. */
function within(other: Process, work: () => Promise<void>): Promise<void> {
  const here = machine().current;
  return new Promise((resolve, reject) => {
    machine().send(other, 0, () => {
      work().then(
        () => machine().send(here, 0, resolve),
        (error: Error) => machine().send(here, 0, () => reject(error)),
      );
    });
  });
}

/** Warnings and errors are told; what is told of more than that costs too much. */
function loggerOf(ledger: Ledger): Logger {
  const tell = (fields: object, message: string): void => {
    const { err, request } = fields as { readonly err?: Error; readonly request?: string };
    ledger.count(`log: ${message}`);
    machine().detail(() => `${request ?? ""} ${err?.stack ?? ""}`);
  };
  const silent = (): void => undefined;
  const logger = { debug: silent, info: silent, warn: tell, error: tell, isLevelEnabled: () => false };
  return logger as unknown as Logger;
}

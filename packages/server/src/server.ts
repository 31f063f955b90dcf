/** Wires the parts by hand; read from top to bottom, this is the diagram of a server. */
import { join } from "node:path";
import { pino } from "pino";
import { fsBlobStore } from "./blob/fs.ts";
import type { ResolvedConfig } from "./config/load.ts";
import { StartError } from "./config/start-error.ts";
import { systemClock } from "./core/clock.ts";
import type { RetryPolicy } from "./core/transition.ts";
import { buildGateway } from "./gateway/app.ts";
import { materialize } from "./media/materialize.ts";
import type { Catalog } from "./model/catalog.ts";
import { guardedFetch } from "./net/guard.ts";
import { dataMarker, endLeftovers, startGuard } from "./runner/guard.ts";
import { boundConnections } from "./server/bound-connections.ts";
import { listenForCommands } from "./server/control.ts";
import { closeGateway, listen } from "./server/listen.ts";
import { catalogOf, findModels, loadModels } from "./server/load-models.ts";
import { openKeys } from "./server/open-keys.ts";
import { tellClock } from "./server/tell-clock.ts";
import { watchKeys } from "./server/watch-keys.ts";
import { watchDisk } from "./server/watch-disk.ts";
import { watchSetups } from "./server/watch-setups.ts";
import { type KeyStore, PLAIN_KEY } from "./store/keys.ts";
import { sqliteStore } from "./store/sqlite/sqlite-store.ts";
import { logOutput } from "./telemetry/log-output.ts";
import { metrics as makeMetrics } from "./telemetry/metrics.ts";
import { listenForScrapes } from "./telemetry/metrics-server.ts";
import { tracedStore } from "./telemetry/traced-store.ts";
import { Poster } from "./webhook/post.ts";
import { Sender } from "./webhook/sender.ts";
import { Sweeper } from "./worker/sweeper.ts";
import { Worker } from "./worker/worker.ts";

/** Longest time to fetch one input, all redirects together. */
const FETCH_TIMEOUT_MS = 60_000;

export interface Server {
  /** Where clients on this machine reach it, such as `http://127.0.0.1:8787`. */
  readonly address: string;
  /** What is served, with states that change as the models load. */
  readonly models: Catalog;
  /** Those of its data directory. */
  readonly keys: KeyStore;
  /** Resolves if it turns out that no model can be served, with the sentence that says why. Otherwise never. */
  readonly hopeless: Promise<StartError>;
  /** Leases nothing more, gives running requests back to the queue after the grace, then answers no more and ends every process. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a server; resolves when it answers, while its models still load. Throws `StartError` if it cannot start. */
export async function startServer(config: ResolvedConfig): Promise<Server> {
  const clock = systemClock();
  // What has been opened is closed in the reverse order: at a stop, and when the start fails halfway.
  await using opened = new AsyncDisposableStack();
  const logger = pino({ level: config.logLevel }, opened.use(logOutput()));

  const found = await findModels(config);
  const policies = new Map(found.map(({ definition, retries }) => [definition.name, retries]));
  const retriesOf = (model: string): RetryPolicy | undefined => policies.get(model);
  const stored = opened.use(await sqliteStore({ directory: config.dataDir, clock, retriesOf }).catch(toStartError));
  tellClock(stored.newestAt, clock, logger);
  const keys = opened.use(openKeys(config.dataDir, clock));
  opened.use(watchKeys(keys, logger));
  const blobs = fsBlobStore(join(config.dataDir, "files"));
  const metrics = makeMetrics({
    store: stored,
    deliveries: stored.deliveries,
    clock,
    dataDirectory: config.dataDir,
    models: [...policies.keys()],
  });
  const store = tracedStore(stored, { logger, metrics });

  const marker = await dataMarker(config.dataDir);
  const leftovers = await endLeftovers(marker);
  if (leftovers > 0) logger.warn({ processes: leftovers }, "ended what an earlier server left running");
  const guard = opened.use(startGuard((message) => logger.warn(message)));
  const models = loadModels(found, { guard, marker, logger });
  const served = catalogOf(models);
  const setups = watchSetups(models, served, logger);
  if (served.entries.every(({ state }) => state.type === "failed")) throw await setups.hopeless;

  const poster = opened.use(new Poster({ allowPrivate: config.allowPrivate.includes("webhook") }));
  const { deliveries } = stored;
  const sender = opened.use(new Sender({ deliveries, secrets: keys, poster, clock, log: logger, metrics }));
  const disk = opened.use(await watchDisk(config.dataDir, config.diskReserveBytes, logger));
  const fetcher = guardedFetch({ allowPrivate: config.allowPrivate.includes("input"), timeoutMs: FETCH_TIMEOUT_MS });
  const worker = opened.use(
    new Worker({
      name: `${process.pid}`,
      store,
      events: stored.events,
      blobs,
      clock,
      log: logger,
      models: models.filter(({ name }) => served.find(name)!.state.type !== "failed"),
      materialize: (input, schema, context) =>
        materialize(input, schema, { ...context, blobs, fetcher, limitBytes: config.mediaLimitBytes }),
      workDirectory: join(config.dataDir, "work"),
      leaseMs: config.leaseSeconds * 1000,
      stopGraceMs: config.stopGraceSeconds * 1000,
      get durableLeases() {
        return stored.unclean;
      },
      isDiskFull: async () => {
        await disk.look();
        return disk.isFull;
      },
    }),
  );
  const sweeper = opened.use(
    new Sweeper({ store, blobs, clock, log: logger, metrics, uploadTtlMs: config.resultTtlSeconds * 1000 }),
  );
  const gateway = buildGateway({
    store,
    events: stored.events,
    deliveries: stored.deliveries,
    blobs,
    keys,
    secrets: keys,
    staticKeys: config.apiKeys.map((key) => ({ ...PLAIN_KEY, ...key, owner: key.name, createdAt: 0 })),
    models: served,
    settings: {
      ...config,
      publicUrl: config.publicUrl ?? null,
      keyRequestsPerSecond: config.keyRequestsPerSecond ?? null,
      keyRequestsInFlight: config.keyRequestsInFlight ?? null,
      allowPrivate: config.allowPrivate.includes("input"),
      allowPrivateWebhooks: config.allowPrivate.includes("webhook"),
    },
    disk,
    clock,
    logger,
    metrics,
    readiness: () => (worker.isStopping ? "stopping" : setups.ready() ? "ready" : "starting"),
  });
  const deadLetters = { store, blobs, replay: gateway.replayDeadLetter };
  opened.use(await listenForCommands(config.dataDir, { keys, deadLetters }, logger));
  if (config.metricsPort !== undefined) opened.use(await listenForScrapes(metrics, config.metricsPort));
  opened.defer(() => closeGateway(gateway, worker));
  boundConnections(gateway.server, logger);
  const address = await listen(gateway, config);
  await worker.start();
  sweeper.start();
  sender.start();
  logger.info({ address, models: served.entries.length }, "listening");

  const running = opened.move();
  let stopped: Promise<void> | undefined;
  return {
    address,
    models: served,
    keys,
    hopeless: setups.hopeless,
    stop: () => (stopped ??= running.disposeAsync()),
  };
}

/** What the store says when it cannot be opened is a sentence for the operator. */
function toStartError(error: Error): never {
  throw new StartError(error.message, { cause: error });
}

/** A real gateway that listens on a port of its own, over the in-memory store; the tests play the worker. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { fsBlobStore } from "../../src/blob/fs.ts";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Artifact, Failure, Result } from "../../src/core/request.ts";
import { buildGateway } from "../../src/gateway/app.ts";
import type { GatewayOptions, GatewaySettings } from "../../src/gateway/options.ts";
import type { ReplayDeadLetter } from "../../src/gateway/replay.ts";
import { catalog, type ModelState, type ServedModel } from "../../src/model/catalog.ts";
import { defineModel, media } from "../../src/model/model.ts";
import type { EventLog } from "../../src/store/events.ts";
import type { DeliveryStore } from "../../src/store/deliveries.ts";
import { PLAIN_KEY, type ApiKey, type WebhookSecrets } from "../../src/store/keys.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Lease, RequestStore } from "../../src/store/store.ts";
import type { ManualClock } from "../../src/testing/clock.ts";
import { metrics } from "../../src/telemetry/metrics.ts";

export const KEY = "SG_0123456789abcdef";
export const OTHER_KEY = "SG_fedcba9876543210";
export const ADMIN_KEY = "SG_00000000000admin";

export const ID_SECRET = "0123456789abcdef0123456789abcdef";

/** A key store without keys. */
export const NO_KEYS: GatewayOptions["keys"] = {
  idSecret: ID_SECRET,
  find: () => undefined,
  isFirstUse: () => false,
  onChange() {},
};

/** What signs webhooks, where there are none. */
const NO_SECRETS: WebhookSecrets = {
  secretsOf: () => [],
  rotateSecret: () => {
    throw new Error("this test has no secrets");
  },
};

/** A clock that only moves when told. */
export class TestClock implements Clock {
  ms = 1_790_000_000_000;
  now(): number {
    return this.ms;
  }
  advance(ms: number): void {
    this.ms += ms;
  }
}

export const MODELS: readonly ServedModel[] = [
  {
    definition: defineModel({
      name: "picture",
      output: "image",
      description: "Draws a picture.",
      input: {
        type: "object",
        required: ["prompt"],
        properties: {
          prompt: { type: "string", minLength: 1 },
          seed: { type: "integer", minimum: -1, default: -1 },
          steps: { type: "integer", minimum: 1, maximum: 50 },
          strength: { type: "number", minimum: 0, maximum: 1 },
          tiled: { type: "boolean" },
          size: { enum: ["small", "large"] },
          image: media("image/*"),
          points: {
            type: "array",
            items: { type: "object", properties: { x: { type: "number" } } },
          },
          image_input: { type: "array", items: media("image/*") },
        },
      },
      run: () => "",
    }),
    aliases: [{ name: "seedream-4.5", standIn: "A stand-in: draws, but is not that model." }],
    timeoutMs: 600_000,
  },
  plain("film", "video"),
  plain("speech", "audio"),
  plain("words", "text"),
];

/** A model that takes any input. */
function plain(name: string, output: "video" | "audio" | "text"): ServedModel {
  return { definition: defineModel({ name, output, input: { type: "object" }, run: () => "" }), timeoutMs: 600_000 };
}

export interface Gateway extends AsyncDisposable {
  readonly base: string;
  readonly port: number;
  readonly clock: ManualClock;
  readonly store: RequestStore;
  readonly events: EventLog;
  readonly deliveries: DeliveryStore;
  readonly blobs: BlobStore;
  readonly logs: string[];
  readonly states: Map<string, ModelState>;
  /** What /metrics answers. */
  metrics(): Promise<string>;
  close(): Promise<void>;
  readonly replay: ReplayDeadLetter;
  /** Every route but HEAD and OPTIONS, as `METHOD /path/{parameter}`. */
  routes(): string[];
  /** Sends JSON, or anything else, with the first key. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  submit(model: string, input: unknown): Promise<string>;
  /** Plays the worker: leases the one request that waits. */
  lease(model: string): Promise<Lease>;
  complete(model: string, result: Result, inferenceMs?: number): Promise<Lease>;
  fail(model: string, failure: Failure): Promise<Lease>;
  /** Stores `bytes` as a file of a request. */
  artifact(id: string, name: string, contentType: string, bytes: Uint8Array): Promise<Artifact>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
  /** The body as JSON. */
  json(): Record<string, unknown>;
}

export async function startGateway(
  settings: Partial<GatewaySettings> = {},
  more: Partial<GatewayOptions> & { readonly clock?: ManualClock; readonly deliveries?: DeliveryStore } = {},
): Promise<Gateway> {
  const clock = more.clock ?? new TestClock();
  const memory = memoryStore({ clock });
  const { store = memory, events = memory.events, deliveries = memory.deliveries } = more;
  const directory = await mkdtemp(join(tmpdir(), "inferq-gateway-"));
  const blobs = fsBlobStore(directory);
  const logs: string[] = [];
  const states = new Map<string, ModelState>();
  const figures = metrics({ store, deliveries: memory.deliveries, clock, dataDirectory: directory });
  const app = buildGateway({
    store,
    events,
    deliveries,
    blobs,
    keys: NO_KEYS,
    secrets: NO_SECRETS,
    staticKeys: [
      apiKey("one", KEY, false),
      apiKey("two", OTHER_KEY, false),
      { ...apiKey("root", ADMIN_KEY, true), owner: "one" },
    ],
    models: catalog(MODELS, (model) => states.get(model) ?? { type: "ready" }),
    settings: {
      bodyLimitBytes: 64 * 1024 * 1024,
      mediaLimitBytes: 64 * 1024 * 1024,
      allowPrivate: false,
      allowPrivateWebhooks: false,
      resultTtlSeconds: 3600,
      syncTimeoutSeconds: 30,
      waitLimitSeconds: 60,
      resultTtlLimitSeconds: 604_800,
      corsOrigins: [],
      publicUrl: null,
      trustedProxies: [],
      remainingCredits: 1_000_000,
      keyRequestsPerSecond: null,
      keyRequestsInFlight: null,
      waitingLimit: 2_000_000,
      diskReserveBytes: 0,
      ...settings,
    },
    disk: { isFull: false },
    clock,
    logger: pino({ level: "info" }, { write: (line: string) => void logs.push(line) }),
    metrics: figures,
    readiness: () => "ready",
    ...more,
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as { port: number };

  const gateway: Gateway = {
    base: `http://127.0.0.1:${port}`,
    port,
    clock,
    store,
    events,
    deliveries,
    blobs,
    logs,
    states,
    metrics: () => figures.render(),
    close: () => app.close(),
    replay: app.replayDeadLetter,
    routes: () =>
      app
        .listRoutes()
        .filter((route) => !/^(HEAD|OPTIONS) /.test(route))
        .map((route) => route.replace(/:(\w+)/g, "{$1}").replace("*", "{path}")),
    async call(method, path, body, headers = {}) {
      const isRaw = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
      const payload = isRaw ? body : JSON.stringify(body);
      const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
      return await send(port, method, path, { "x-api-key": KEY, ...type, ...headers }, payload);
    },
    async submit(model, input) {
      const answer = await gateway.call("POST", `/v2/${model}`, input);
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
      return String(answer.json()["request_id"]);
    },
    async lease(model) {
      const capacity = new Map([[model, 1]]);
      const [lease] = await store.lease({ worker: "test", capacity, leaseMs: 30_000, durable: false });
      if (lease === undefined) throw new Error(`no request for ${model} waits`);
      return lease;
    },
    async complete(model, result, inferenceMs = 13_060) {
      const lease = await gateway.lease(model);
      clock.advance(inferenceMs);
      await store.settle(lease.id, lease.token, { type: "complete", result, inferenceMs, hasFiles: true });
      return lease;
    },
    async fail(model, failure) {
      const lease = await gateway.lease(model);
      clock.advance(3);
      await store.settle(lease.id, lease.token, { type: "fail", kind: "error", failure, inferenceMs: 3.372 });
      return lease;
    },
    async artifact(id, name, contentType, bytes) {
      const extension = name.slice(name.lastIndexOf(".") + 1);
      const key = `${id}/1/${randomBytes(16).toString("hex")}.${extension}`;
      await blobs.put(key, { bytes });
      return { key, contentType, size: bytes.length, fileName: name };
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return gateway;
}

export function apiKey(name: string, secret: string, admin: boolean): ApiKey {
  const hash = createHash("sha256").update(secret).digest("hex");
  return { ...PLAIN_KEY, name, owner: name, hash, createdAt: 0, ...(admin && { scopes: ["submit", "read", "admin"] }) };
}

/** One request over a socket of its own, with exactly these headers: fetch would add some, and refuse others. */
export function send(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: "127.0.0.1", method, path, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(pieces);
        const text = bytes.toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          bytes,
          json: () => JSON.parse(text) as Record<string, unknown>,
        });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

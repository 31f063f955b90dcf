/**
 * What can be configured: the types with their meaning, the schema with types, defaults and bounds.
 * docs/reference/configuration.md is made from both by `node scripts/configuration-page.ts`.
 */
import type { Alias } from "../model/catalog.ts";
import type { JsonSchema, Retries } from "../model/model.ts";

/** One model to serve. */
export interface ModelEntry {
  /** Module whose default export is the model: a package (`@inferq/models/ocr`) or a path from the config file (`./my-model.ts`). */
  readonly module: string;
  /** Serves the model under this name instead of its own. */
  readonly name?: string;
  /** Further names of the same model; as `{ name, standIn }` where the model only stands in for the one that usually bears the name. */
  readonly aliases?: readonly (string | Alias)[];
  /** `process` runs the model in child processes; `inline` in the server itself, for trusted trivial code only. */
  readonly runner?: "process" | "inline";
  /** Requests that one process runs at once; the model's own number if not set. */
  readonly concurrency?: number;
  /** Child processes that run this model. */
  readonly processes?: number;
  /** Longest run in seconds; the model's own number if not set. */
  readonly timeoutSeconds?: number;
  /** Further tries after crashes or lost leases, `crashes`, and after errors that the model calls `Retryable`, `errors`; the wait before the first, `delaySeconds`, grows fivefold up to five minutes. What is left out is as the model says, else 2, 2 and 1. */
  readonly retries?: Retries;
  /** Requests of this model that may wait; one more is refused with 429. If not set, as many as the whole server takes. */
  readonly waitingLimit?: number;
}

/** The content of `inferq.config.ts`. */
export interface Config {
  /** The models to serve: module specifiers, or entries with settings. */
  readonly models: readonly (string | ModelEntry)[];
  /** Port to listen on; 0 takes a free one. */
  readonly port?: number;
  /** Address to listen on. `0.0.0.0` makes the server reachable from other machines. */
  readonly host?: string;
  /** Directory of the database, the files and the keys; a path from the config file. One server at a time uses it. */
  readonly dataDir?: string;
  /** How long a request and its result exist, in seconds from submission; rounded up, to whole seconds up to ten minutes. */
  readonly resultTtlSeconds?: number;
  /** Longest life that a client may ask for a request, in seconds: `X-Result-TTL`, and the wait for the first reading with `X-Keep-Until-Read`. */
  readonly resultTtlLimitSeconds?: number;
  /** Origin that clients reach the server under, such as `https://api.example.com`; if not set, the Host of each call. */
  readonly publicUrl?: string;
  /** Addresses or CIDR ranges of proxies whose `X-Forwarded-*` headers are believed. */
  readonly trustedProxies?: readonly string[];
  /** Origins whose pages may call the API from a browser; `*` is any. */
  readonly corsOrigins?: readonly string[];
  /** Largest body of a submit, in bytes. */
  readonly bodyLimitBytes?: number;
  /** Largest single input file, fetched or uploaded, in bytes. */
  readonly mediaLimitBytes?: number;
  /** Longest that a synchronous `POST /v1/{model}` waits, in seconds; the request itself lives on. */
  readonly syncTimeoutSeconds?: number;
  /** Longest that a client may wait for an outcome in one call (`?wait=`), in seconds. Stay under what the proxies before the server allow. */
  readonly waitLimitSeconds?: number;
  /** What `x-remaining-credits` says; one public client fails without the header. */
  readonly remainingCredits?: number;
  /** Port of `/metrics` on `127.0.0.1`, for a scraper without a key. On the main port it is for keys made with `inferq keys create --admin` alone, never for those of `INFERQ_API_KEYS`. */
  readonly metricsPort?: number;
  /** How long a lease holds without a heartbeat, in seconds. */
  readonly leaseSeconds?: number;
  /** How long a graceful stop waits for running requests before it gives them back to the queue, in seconds. The whole stop takes at most 20 s more. */
  readonly stopGraceSeconds?: number;
  /** Requests that a key may send a second, on average; `0.1` is one in ten seconds. For keys that have no number of their own; if not set, as many as they like. */
  readonly keyRequestsPerSecond?: number;
  /** Requests that a key may have unfinished at a time, waiting and running. For keys that have no number of their own; if not set, as many as they like. */
  readonly keyRequestsInFlight?: number;
  /** Requests that may wait on the whole server; one more is refused with 503. Each takes about 90 bytes of memory. */
  readonly waitingLimit?: number;
  /** While fewer bytes than this are free on the disk of `dataDir`, submits, retries and uploads are refused with 503; everything else goes on. */
  readonly diskReserveBytes?: number;
  /** What may reach private addresses: `input` lets URLs in inputs do so, `webhook` those that webhooks go to. */
  readonly allowPrivate?: readonly ("input" | "webhook")[];
  /** Least severe log lines that are written. From `debug` on they quote what models say, which may quote inputs. */
  readonly logLevel?: LogLevel;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Gives the config file its types; answers what it was given. */
export function defineConfig(config: Config): Config {
  return config;
}

/** Environment variables and the keys that they set, over what the file says. */
export const ENVIRONMENT = {
  PORT: "port",
  HOST: "host",
  INFERQ_DATA_DIR: "dataDir",
  INFERQ_RESULT_TTL_SECONDS: "resultTtlSeconds",
  INFERQ_ALLOW_PRIVATE: "allowPrivate",
  INFERQ_LOG_LEVEL: "logLevel",
} as const;
ENVIRONMENT satisfies Readonly<Record<string, keyof Config>>;

const SLUG = { type: "string", pattern: "^[A-Za-z0-9._-]+$", not: { enum: ["requests", "models"] } };
// Keywords about texts say nothing about objects and the other way round: a type of both needs no `anyOf`.
const COUNT = { type: "integer", minimum: 1 };
const BYTES = { type: "integer", minimum: 1 };
const SECONDS = { type: "number", exclusiveMinimum: 0 };
const TRIES = { type: "integer", minimum: 0, maximum: 100 };
/** Schema of `retries`, in a model's entry and in its definition. */
export const RETRIES_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: { crashes: TRIES, errors: TRIES, delaySeconds: { type: "number", minimum: 0, maximum: 300 } },
};
const PORT = { type: "integer", minimum: 0, maximum: 65_535 };
/** Such as `https://api.example.com`. */
export const ORIGIN = "^https?://[^/?#\\s]+$";
export const ORIGIN_OR_ANY: string = `^\\*$|${ORIGIN}`;
const TEXTS = { type: "array", items: { type: "string", minLength: 1 } };

/** Schema of an entry of `models` that is no mere specifier. */
export const MODEL_ENTRY_SCHEMA: JsonSchema = {
  type: "object",
  required: ["module"],
  additionalProperties: false,
  properties: {
    module: { type: "string", minLength: 1 },
    name: SLUG,
    aliases: {
      type: "array",
      items: {
        ...SLUG,
        type: ["string", "object"],
        required: ["name"],
        additionalProperties: false,
        properties: { name: SLUG, standIn: { type: "string" } },
      },
    },
    runner: { enum: ["process", "inline"], default: "process" },
    concurrency: COUNT,
    processes: { ...COUNT, default: 1 },
    timeoutSeconds: SECONDS,
    retries: RETRIES_SCHEMA,
    waitingLimit: COUNT,
  },
};

/** JSON Schema of `Config`, with its defaults. */
export const CONFIG_SCHEMA: JsonSchema & { readonly properties: Readonly<Record<keyof Config, JsonSchema>> } = {
  type: "object",
  required: ["models"],
  additionalProperties: false,
  properties: {
    models: {
      type: "array",
      minItems: 1,
      items: { ...MODEL_ENTRY_SCHEMA, type: ["string", "object"], minLength: 1 },
    },
    port: { ...PORT, default: 8787 },
    host: { type: "string", minLength: 1, default: "127.0.0.1" },
    dataDir: { type: "string", minLength: 1, default: ".inferq" },
    resultTtlSeconds: { ...SECONDS, default: 3600 },
    resultTtlLimitSeconds: { ...SECONDS, default: 604_800 },
    publicUrl: { type: "string", pattern: ORIGIN },
    trustedProxies: { ...TEXTS, default: [] },
    corsOrigins: { type: "array", items: { type: "string", pattern: ORIGIN_OR_ANY }, default: [] },
    bodyLimitBytes: { ...BYTES, default: 64 * 1024 * 1024 },
    mediaLimitBytes: { ...BYTES, default: 512 * 1024 * 1024 },
    syncTimeoutSeconds: { ...SECONDS, default: 120 },
    waitLimitSeconds: { ...SECONDS, default: 60 },
    remainingCredits: { type: "number", default: 1_000_000 },
    metricsPort: PORT,
    leaseSeconds: { ...SECONDS, default: 30 },
    stopGraceSeconds: { type: "number", minimum: 0, default: 5 },
    keyRequestsPerSecond: { type: "number", exclusiveMinimum: 0 },
    keyRequestsInFlight: COUNT,
    waitingLimit: { ...COUNT, default: 2_000_000 },
    diskReserveBytes: { type: "integer", minimum: 0, default: 256 * 1024 * 1024 },
    allowPrivate: { type: "array", items: { enum: ["input", "webhook"] }, default: [] },
    logLevel: { enum: ["trace", "debug", "info", "warn", "error", "fatal", "silent"], default: "info" },
  },
};

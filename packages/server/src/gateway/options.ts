import type { Logger } from "pino";
import type { BlobStore } from "../blob/blob-store.ts";
import type { Clock } from "../core/clock.ts";
import type { Catalog } from "../model/catalog.ts";
import type { AllowPrivate } from "../net/address.ts";
import type { EventLog } from "../store/events.ts";
import type { DeliveryStore } from "../store/deliveries.ts";
import type { ApiKey, KeyStore, WebhookSecrets } from "../store/keys.ts";
import type { RequestStore } from "../store/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** What the configuration says about the gateway. */
export interface GatewaySettings {
  /** Largest body taken, bytes. */
  readonly bodyLimitBytes: number;
  /** Largest single input file, bytes. */
  readonly mediaLimitBytes: number;
  /** Which private addresses URLs in inputs may name. */
  readonly allowPrivate: AllowPrivate;
  /** Which private addresses webhooks may go to. */
  readonly allowPrivateWebhooks: AllowPrivate;
  /** Life of a request, its result and its files from the submit on. */
  readonly resultTtlSeconds: number;
  /** Longest life that a client may ask for. */
  readonly resultTtlLimitSeconds: number;
  /** How long `POST /v1/{model}` waits for its request. */
  readonly syncTimeoutSeconds: number;
  /** Longest that one call waits for an outcome (`?wait=`). */
  readonly waitLimitSeconds: number;
  /** Origins whose pages may call the API (`https://app.example`), or `*`. Files may be read from anywhere. */
  readonly corsOrigins: readonly string[];
  /** Origin to write into URLs whatever Host the caller used; null to take the caller's. */
  readonly publicUrl: string | null;
  /** Addresses or networks (`10.0.0.0/8`) whose `X-Forwarded-*` headers are believed. */
  readonly trustedProxies: readonly string[];
  /** Requests a second of a key that has no number of its own; null: as many as it likes. */
  readonly keyRequestsPerSecond: number | null;
  /** Unfinished requests of a key that has no number of its own; null: as many as it likes. */
  readonly keyRequestsInFlight: number | null;
  /** Requests that may wait, of all models. */
  readonly waitingLimit: number;
  /** Bytes that are to stay free on the disk. */
  readonly diskReserveBytes: number;
  /** The constant in `x-remaining-credits`, for clients that cannot do without it. */
  readonly remainingCredits: number;
}

/** How the disk of the data directory does. */
export interface DiskState {
  /** Fewer bytes are free than are to stay so. */
  readonly isFull: boolean;
}

/** Everything the gateway is given. It talks to nothing else. */
export interface GatewayOptions {
  readonly store: RequestStore;
  /** What runs tell while they run. */
  readonly events: EventLog;
  readonly deliveries: Pick<DeliveryStore, "get" | "list" | "redeliver">;
  readonly blobs: BlobStore;
  readonly keys: Pick<KeyStore, "find" | "idSecret" | "isFirstUse" | "onChange">;
  /** What webhooks are signed with. */
  readonly secrets: WebhookSecrets;
  /** Keys of the configuration (`INFERQ_API_KEYS`); looked up first. */
  readonly staticKeys: readonly ApiKey[];
  readonly models: Catalog;
  readonly settings: GatewaySettings;
  readonly disk: DiskState;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** For `/readyz`. `ready`: the light models are. `stopping`: what runs may end, and nothing else is begun before the next start. */
  readonly readiness: () => "starting" | "ready" | "stopping";
}

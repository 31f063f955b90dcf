/** The contract of the API keys' store: beside the queue, for the CLI changes it while a server runs. */

/** What a key may do. `submit`: send requests, await, cancel and delete them. `read`: see them. `admin`: what is the operator's, such as /metrics. */
export type Scope = "submit" | "read" | "admin";

export interface ApiKey {
  /** Public name of the key, in logs; it stays when the key is rotated. */
  readonly name: string;
  /** Whose requests it sees. */
  readonly owner: string;
  /** SHA-256 of the key, hex. The key itself is stored nowhere. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  /** The models that it may use, by their own names or others; null: all. */
  readonly models: readonly string[] | null;
  /** Requests it may send a second; null: as the configuration says. */
  readonly requestsPerSecond: number | null;
  /** Requests it may have unfinished; null: as the configuration says. */
  readonly requestsInFlight: number | null;
  readonly createdAt: number;
  /** From then on it is no key; null: never. */
  readonly expiresAt: number | null;
}

/** What a key may do that nothing is said of. */
export const PLAIN_KEY: Pick<ApiKey, "scopes" | "models" | "requestsPerSecond" | "requestsInFlight" | "expiresAt"> = {
  scopes: ["submit", "read"],
  models: null,
  requestsPerSecond: null,
  requestsInFlight: null,
  expiresAt: null,
};

/** A secret that webhooks to one owner are signed with (Standard Webhooks). */
export interface WebhookSecret {
  /** `whsec_` and 256 random bits in base64. */
  readonly secret: string;
  readonly createdAt: number;
  /** Until then it signs beside the one that took its place; null: it is the present one. */
  readonly expiresAt: number | null;
}

export interface WebhookSecrets {
  /** The secrets to sign with now: the present one first, made if there is none yet. */
  secretsOf(owner: string): readonly WebhookSecret[];
  /** Makes a new secret for `owner`; the present one signs beside it for `overlapMs` more. */
  rotateSecret(owner: string, overlapMs: number): WebhookSecret;
}

export interface KeyStore extends Disposable {
  /** Secret of the ids that are made beside these keys (`requestIds`): 128 random bits as hex, made with the store, the same for all who share it. */
  readonly idSecret: string;
  /** Adds a key. Throws if its name is taken. */
  add(key: ApiKey): void;
  /** The key with this hash. */
  find(hash: string): ApiKey | undefined;
  list(): ApiKey[];
}

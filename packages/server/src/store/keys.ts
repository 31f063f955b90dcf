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
  /** Makes a new secret for `owner`; the present one signs beside it for `overlapMs` more, and so do the latest before it whose time is not over. */
  rotateSecret(owner: string, overlapMs: number): WebhookSecret;
}

/** Who changes a key: `cli` beside no server, `socket` the same through a running one, `start` a server's first start. */
export type ChangedBy = "cli" | "socket" | "start";

/** A change of a key, kept until a server has told it in its log. */
export interface KeyChange {
  readonly audit: "key_created" | "key_revoked" | "key_rotated";
  readonly key: string;
  readonly owner: string;
  readonly at: number;
  readonly by: ChangedBy;
}

/** As lists show it. */
export interface StoredKey extends ApiKey {
  readonly revokedAt: number | null;
  /** When its present secret was used first; null: not yet, as far as is written. */
  readonly firstUsedAt: number | null;
  /** Until then a secret from before its last rotation works too; null: none does. */
  readonly overlapEndsAt: number | null;
}

/** What a hash leads to. */
export interface FoundKey {
  readonly key: ApiKey;
  /** The hash itself: that of the key, or one from before its last rotation. */
  readonly hash: string;
  /** From then on, ms since the epoch, this secret is refused; Infinity: never. */
  readonly until: number;
  /** Why it is refused from then on: as a whole, or this secret alone, for another has taken its place. */
  readonly ends: "revoked" | "expired" | "rotated";
}

/** Everything is in memory: no look-up reads the database, and a change through this object counts at once. */
export interface KeyStore extends WebhookSecrets, Disposable {
  /** Secret of the ids that are made beside these keys (`requestIds`): 128 random bits as hex, made with the store, the same for all who share it. */
  readonly idSecret: string;
  /** Adds a key, and the webhook secret of its owner if that has none. Throws a sentence if its name is taken, be it by a revoked key. */
  add(key: ApiKey, by: ChangedBy): void;
  /** Ends the key for good. Throws a sentence if there is none, or it is revoked already. */
  revoke(name: string, by: ChangedBy): StoredKey;
  /** Gives the key a new secret. Those from before work for `overlapMs` more, or as long as was said before if that is less. Throws as `revoke`, and if it has expired. */
  rotate(name: string, hash: string, overlapMs: number, by: ChangedBy): StoredKey;
  /** What this hash leads to, be it refused by now. */
  find(hash: string): FoundKey | undefined;
  /** All that there ever were, the oldest first. */
  list(): StoredKey[];
  /** Calls `listener` after every change, through this object or seen by `refresh`. */
  onChange(listener: () => void): void;
  /** Sees what other processes have changed, and writes the first uses. To be called often: it costs next to nothing when there is nothing to do. */
  refresh(): void;
  /** Whether the secret with this hash was never used before; from now on it was. Written by the next `refresh`. */
  isFirstUse(hash: string): boolean;
  /** Passes the changes that no server has told yet to `tell`, in their order, and forgets them. */
  tellChanges(tell: (change: KeyChange) => void): void;
}

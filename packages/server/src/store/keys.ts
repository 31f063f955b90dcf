/** The contract of the API keys' store: beside the queue, for the CLI changes it while a server runs. */

export interface ApiKey {
  /** Public name of the key, in logs. */
  readonly name: string;
  /** Whose requests it sees. */
  readonly owner: string;
  /** SHA-256 of the key, hex. The key itself is stored nowhere. */
  readonly hash: string;
  /** May read /metrics. */
  readonly admin: boolean;
  readonly createdAt: number;
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

/** `inferq keys`: works on the data directory itself, while a server uses it too. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../core/clock.ts";
import { type Flags, hashKey, loadConfig } from "../config/load.ts";
import { StartError } from "../config/start-error.ts";
import { openKeys } from "../server/open-keys.ts";
import { type ChangedBy, PLAIN_KEY, type KeyStore, type Scope } from "../store/keys.ts";
import { say } from "./say.ts";

export interface CreateOptions extends Flags {
  readonly name?: string;
  readonly owner?: string;
  readonly admin?: boolean;
}

/** Makes a key and prints it, alone, on stdout. */
export async function createKey(options: CreateOptions): Promise<void> {
  const { dataDir } = await loadConfig(options);
  using keys = openKeys(dataDir, systemClock());
  const { key, name } = addKey(keys, options, "cli");
  say(`API key "${name}", shown this once; kept as a hash in ${dataDir}:`);
  process.stdout.write(`${key}\n`);
}

export async function listKeys(options: Flags): Promise<void> {
  const { dataDir } = await loadConfig(options);
  using keys = openKeys(dataDir, systemClock());
  const list = keys.list();
  if (list.length === 0) say(`No keys in ${dataDir}.`);
  for (const { name, owner, scopes, createdAt } of list) {
    process.stdout.write(
      [name, owner, scopes.includes("admin") ? "admin" : "-", new Date(createdAt).toISOString()].join("\t") + "\n",
    );
  }
}

/** Adds a new random key: `sg_` and 128 random bits, the form that clients check for (in-practice, "Auth"). */
export function addKey(
  keys: KeyStore,
  options: Pick<CreateOptions, "name" | "owner" | "admin">,
  by: ChangedBy,
): { readonly key: string; readonly name: string } {
  const key = `sg_${randomBytes(16).toString("hex")}`;
  const hash = hashKey(key);
  const name = options.name ?? `key-${hash.slice(0, 8)}`;
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new StartError(`A key's name must be letters, digits, ".", "_" and "-", got ${JSON.stringify(name)}.`);
  }
  try {
    const scopes: readonly Scope[] = options.admin === true ? ["submit", "read", "admin"] : PLAIN_KEY.scopes;
    keys.add({ ...PLAIN_KEY, name, owner: options.owner ?? name, hash, scopes, createdAt: Date.now() }, by);
  } catch (error) {
    throw new StartError((error as Error).message, { cause: error });
  }
  return { key, name };
}

/** `inferq keys`: through the server that uses the data directory, or on the directory itself where none does. */
import { randomBytes } from "node:crypto";
import { type Flags, hashKey, loadConfig, type ResolvedConfig } from "../config/load.ts";
import { StartError } from "../config/start-error.ts";
import type { ApiKey, KeyStore } from "../store/keys.ts";
import { keyJson, keyTable } from "./key-list.ts";
import { checkName, type CreateOptions, durationMs, keyTerms, type KeyTerms } from "./key-options.ts";
import { keysDo } from "./reach-keys.ts";
import { say } from "./say.ts";

/** Makes a key and prints it, alone, on stdout. */
export async function createKey(options: Flags & CreateOptions): Promise<void> {
  const terms = keyTerms(options, Date.now());
  const { dataDir } = await loadConfig(options);
  const { secret, key } = newKey(terms);
  await keysDo({ do: "add", key }, dataDir);
  say(`API key "${key.name}", shown this once; kept as a hash in ${dataDir}:`);
  process.stdout.write(`${secret}\n`);
}

export async function listKeys(options: Flags & { readonly json?: boolean }): Promise<void> {
  const { dataDir } = await loadConfig(options);
  const keys = await keysDo({ do: "list" }, dataDir);
  if (options.json === true) process.stdout.write(keyJson(keys));
  else if (keys.length === 0) say(`No keys in ${dataDir}.`);
  else process.stdout.write(keyTable(keys, Date.now()));
}

export async function revokeKey(options: Flags, given: string): Promise<void> {
  const name = checkName(given, "The name");
  const config = await loadConfig(options);
  checkNotGiven(config, name);
  await keysDo({ do: "revoke", name }, config.dataDir);
  say(`API key "${name}" is revoked. The requests of its owner stay.`);
}

/** Makes a new secret for a key and prints it, alone, on stdout. */
export async function rotateKey(options: Flags & { readonly overlap?: string }, given: string): Promise<void> {
  const name = checkName(given, "The name");
  const overlapMs = durationMs(options.overlap ?? "0", "--overlap");
  const config = await loadConfig(options);
  checkNotGiven(config, name);
  const { secret, hash } = newSecret();
  const [key] = await keysDo({ do: "rotate", name, hash, overlapMs }, config.dataDir);
  const end = key?.overlapEndsAt ?? null;
  const before = end === null ? "works no more" : `works until ${new Date(end).toISOString()}`;
  say(`New secret of API key "${name}", shown this once; the one before ${before}:`);
  process.stdout.write(`${secret}\n`);
}

/** The key that a server's first start makes, so that there is one to try. */
export function addFirstKey(keys: KeyStore): string {
  const { secret, key } = newKey({ ...keyTerms({}, 0), name: "first" });
  keys.add(key, "start");
  return secret;
}

function newKey({ name: given, owner, ...terms }: KeyTerms): { readonly secret: string; readonly key: ApiKey } {
  const { secret, hash } = newSecret();
  const name = given ?? `key-${hash.slice(0, 8)}`;
  return { secret, key: { name, owner: owner ?? name, hash, ...terms, createdAt: Date.now() } };
}

/** `sg_` and 128 random bits, the form that clients check for (in-practice, "Auth"). */
function newSecret(): { readonly secret: string; readonly hash: string } {
  const secret = `sg_${randomBytes(16).toString("hex")}`;
  return { secret, hash: hashKey(secret) };
}

function checkNotGiven({ apiKeys }: ResolvedConfig, name: string): void {
  if (!apiKeys.some((key) => key.name === name)) return;
  throw new StartError(`The key ${name} is one of INFERQ_API_KEYS. Change it there, and start the server anew.`);
}

/** Finds, reads and checks the configuration. The only place that reads the environment. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CONFIG_SCHEMA, type Config, ENVIRONMENT, type ModelEntry } from "./config.ts";
import { type Checked, type Origin, checkConfig } from "./check.ts";
import { StartError } from "./start-error.ts";

/** What the command line sets; it goes over the environment, and that over the file. */
export interface Flags {
  readonly config?: string;
  readonly port?: string;
  readonly host?: string;
  readonly "data-dir"?: string;
}

/** A key that the environment gives. */
export interface GivenKey {
  readonly name: string;
  /** SHA-256 of the key, hex. */
  readonly hash: string;
}

/** The whole configuration, checked, with every default filled in; frozen. */
export interface ResolvedConfig extends Omit<Checked, "models"> {
  readonly models: readonly ModelEntry[];
  /** The file that was read; module paths are relative to it. */
  readonly configPath: string;
  /** Keys of `INFERQ_API_KEYS`. */
  readonly apiKeys: readonly GivenKey[];
}

const FILE_NAMES = ["inferq.config.ts", "inferq.config.js", "inferq.config.mjs"];

/** Flags over environment over file over defaults. Throws `StartError` with one sentence. */
export async function loadConfig(
  flags: Flags = {},
  env: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = process.cwd(),
): Promise<ResolvedConfig> {
  const configPath = findFile(flags.config, directory);
  const file = await readFile(configPath);
  const origins = new Map<string, Origin>();
  const merged: Record<string, unknown> = { ...file };
  const set = (key: keyof Config, text: string | undefined, name: string): void => {
    const trimmed = text?.trim();
    if (trimmed === undefined || trimmed === "") return; // blank is unset
    merged[key] = key === "dataDir" ? resolve(directory, trimmed) : parse(key, trimmed);
    origins.set(key, { name, text: trimmed });
  };
  for (const [variable, key] of Object.entries(ENVIRONMENT)) set(key, env[variable], variable);
  set("port", flags.port, "--port");
  set("host", flags.host, "--host");
  set("dataDir", flags["data-dir"], "--data-dir");

  const checked = checkConfig(merged, configPath, origins);
  checkProxies(checked.trustedProxies, configPath);
  const models = checked.models.map((entry) => (typeof entry === "string" ? { module: entry } : entry));
  return deepFreeze({
    ...checked,
    models,
    configPath,
    dataDir: resolve(dirname(configPath), checked.dataDir),
    apiKeys: parseKeys(env["INFERQ_API_KEYS"] ?? ""),
  });
}

/** SHA-256 of a key, hex: all of it that is ever stored or compared. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function findFile(given: string | undefined, directory: string): string {
  if (given !== undefined) {
    const path = resolve(directory, given);
    if (!existsSync(path)) throw new StartError(`No config file at ${path} (--config).`);
    return path;
  }
  const found = FILE_NAMES.map((name) => join(directory, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new StartError(
    `No ${FILE_NAMES[0]} in ${directory}. Make one that says which models to serve, or name another with --config.`,
  );
}

async function readFile(path: string): Promise<Record<string, unknown>> {
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(path).href)) as { readonly default?: unknown };
  } catch (error) {
    throw new StartError(`${path} could not be loaded: ${firstLine(error)}.`, { cause: error });
  }
  const config = module.default;
  if (typeof config !== "object" || config === null) {
    throw new StartError(
      `${path} must export its config as default, e.g. export default defineConfig({ models: […] }).`,
    );
  }
  return { ...config };
}

/** No schema can say what a range of addresses is. */
function checkProxies(proxies: readonly string[], configPath: string): void {
  for (const [index, proxy] of proxies.entries()) {
    const [, address = "", bits = "0"] = /^([^/]*)(?:\/(\d+))?$/.exec(proxy) ?? [];
    const family = isIP(address);
    if (family !== 0 && Number(bits) <= (family === 6 ? 128 : 32)) continue;
    throw new StartError(
      `${configPath}: trustedProxies[${index}] must be an address or a range such as "10.0.0.0/8", got ${JSON.stringify(proxy)}.`,
    );
  }
}

/** Text from the environment or the command line as its key's type; what does not fit stays text, for the check to name. */
function parse(key: keyof Config, text: string): unknown {
  const type = CONFIG_SCHEMA.properties[key]["type"];
  if (type === "array") return text.split(",").map((item) => item.trim());
  if ((type === "integer" || type === "number") && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return text;
}

/** Comma-separated, each `key` or `name=key`. A key without a name is named by its hash, so that its owner stays the same. */
function parseKeys(list: string): GivenKey[] {
  const keys: GivenKey[] = [];
  for (const item of list.split(",").map((text) => text.trim())) {
    if (item === "") continue;
    const [, given, key = ""] = /^(?:([A-Za-z0-9._-]+)=)?([^\s=]\S*)$/.exec(item) ?? [];
    if (key === "") {
      throw new StartError(
        `INFERQ_API_KEYS: expected comma-separated keys, each "key" or "name=key" with a name of letters, digits, ".", "_" or "-"; entry ${keys.length + 1} is neither.`,
      );
    }
    const hash = hashKey(key);
    const name = given ?? `key-${hash.slice(0, 8)}`;
    if (keys.some((other) => other.name === name)) throw new StartError(`INFERQ_API_KEYS names "${name}" twice.`);
    keys.push({ name, hash });
  }
  return keys;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!.replace(/\.$/, "");
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

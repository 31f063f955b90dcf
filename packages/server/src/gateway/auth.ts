/** Who calls, and what it may: `x-api-key` or `Authorization: Bearer`, looked up by digest (in-practice, "Auth"). */
import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Clock } from "../core/clock.ts";
import { InferqError } from "../core/errors.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import type { BruteForce } from "./brute-force.ts";
import type { ApiKey, FoundKey, KeyStore, Scope } from "../store/keys.ts";

/** What tells who calls. */
export type Call = Pick<IncomingMessage, "headers" | "socket">;

/** The caller's key, or undefined if there is none, it is none by now, or has not the scope. Cheap enough for every poll, and to be asked again of whoever stays. */
export type Identify = (call: Call, scope: Scope | "any") => ApiKey | undefined;

/** Answers the caller's key. Throws `missing_key`, `invalid_key`, or `scope_missing`; `any`: whatever it may do. */
export type Authenticate = (call: Call, scope: Scope | "any") => ApiKey;

/** Why a key was refused; for the log alone, the caller learns the code. */
export type WhyRefused = "unknown" | FoundKey["ends"] | "scope" | "model";

/** A key that was there and does not do. */
export class RefusedKeyError extends InferqError {
  readonly why: WhyRefused;
  /** Null: nobody's. */
  readonly key: ApiKey | null;

  constructor(
    code: "invalid_key" | "scope_missing" | "model_not_allowed",
    why: WhyRefused,
    key: ApiKey | null,
    values: Readonly<Record<string, string>> = {},
  ) {
    super(code, values);
    this.why = why;
    this.key = key;
  }
}

export interface Doorkeeper {
  readonly identify: Identify;
  readonly authenticate: Authenticate;
}

const BEARER = /^Bearer +(\S+) *$/i;

/**
 * Keys of the configuration are looked up first, then those of the key store; `onFirstUse` is told once of each.
 *
 * How long a look-up takes tells nothing of a key. `remembered` compares what came with good keys by a hash
 * whose seed is random in each process, and their bytes only where all of that hash agrees: whoever guesses a key
 * piece by piece sees no difference until the whole is right, which the answer tells anyway. Everything else
 * goes by its SHA-256, of which nobody can choose the pieces, and what decides there is `timingSafeEqual`.
 */
export function doorkeeper(
  staticKeys: readonly ApiKey[],
  keys: Pick<KeyStore, "find" | "isFirstUse" | "onChange">,
  clock: Clock,
  guard: BruteForce,
  onFirstUse: (key: ApiKey, call: Call) => void,
): Doorkeeper {
  const fixed = new Map(staticKeys.map((key) => [key.hash, { key, hash: key.hash, until: Infinity, ends: "expired" }]));
  /** By secret, so that a poll need not hash it; good ones only, so that they are no more than there are keys. */
  const remembered = new Map<string, FoundKey>();
  keys.onChange(() => remembered.clear());

  const find = (digest: string): FoundKey | undefined => {
    const found = (fixed.get(digest) as FoundKey | undefined) ?? keys.find(digest);
    if (found === undefined || !timingSafeEqual(Buffer.from(found.hash), Buffer.from(digest))) return undefined;
    return found;
  };

  const lookUp = (secret: string, call: Call): ApiKey | undefined => {
    const digest = hash("sha256", secret);
    const found = find(digest);
    if (found === undefined || found.until <= clock.now()) return undefined;
    remembered.set(secret, found);
    if (keys.isFirstUse(digest)) onFirstUse(found.key, call);
    return found.key;
  };

  const remember = (secret: string, call: Call): ApiKey | undefined => {
    const known = remembered.get(secret);
    if (known === undefined) return lookUp(secret, call);
    return known.until === Infinity || known.until > clock.now() ? known.key : undefined;
  };

  /** The key with this secret, if it is one by now. */
  const keyWith = (secret: string, call: Call): ApiKey | undefined => {
    const key = remember(secret, call);
    if (key !== undefined) guard.usedWell(call, secret);
    return key;
  };

  const identify: Identify = (call, scope) => {
    const secret = secretOf(call.headers);
    if (secret === "" || (guard.isAlert && guard.keepsOut(call, secret))) return undefined;
    const key = keyWith(secret, call);
    return key !== undefined && has(key, scope) ? key : undefined;
  };

  const authenticate: Authenticate = (call, scope) => {
    const secret = secretOf(call.headers);
    if (secret === "") throw new InferqError("missing_key");
    if (guard.isAlert && guard.keepsOut(call, secret)) throw guard.refusal(call);
    const key = keyWith(secret, call);
    if (key === undefined) {
      const found = find(hash("sha256", secret));
      // Whoever has one that has ended did not guess it; a hundred clients that still use it keep no new one out.
      const refusal = found === undefined ? guard.wrong(call) : undefined;
      throw refusal ?? new RefusedKeyError("invalid_key", found?.ends ?? "unknown", found?.key ?? null);
    }
    if (!has(key, scope)) throw new RefusedKeyError("scope_missing", "scope", key, { scope });
    return key;
  };

  return { identify, authenticate };
}

function has({ scopes }: ApiKey, scope: Scope | "any"): boolean {
  return scope === "any" || scopes.includes(scope);
}

/** Whether `key` may use `model`: its list may have any of the model's names. */
export function mayUse(key: ApiKey, { definition, aliases }: CatalogEntry): boolean {
  const { models } = key;
  if (models === null || models.includes(definition.name)) return true;
  return aliases.some(({ name }) => models.includes(name));
}

/** Throws `model_not_allowed` where `key` may not use `model`, which its caller calls `name`. */
export function checkMayUse(key: ApiKey, model: CatalogEntry, name: string): void {
  if (!mayUse(key, model)) throw new RefusedKeyError("model_not_allowed", "model", key, { model: name });
}

/** Some clients send both headers; an empty `x-api-key` counts as none. */
function secretOf(headers: IncomingHttpHeaders): string {
  const direct = headers["x-api-key"];
  if (typeof direct === "string" && direct !== "") return direct.trim();
  return BEARER.exec(headers.authorization ?? "")?.[1] ?? "";
}

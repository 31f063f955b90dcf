/** Who calls: `x-api-key` or `Authorization: Bearer`, looked up by digest (in-practice, "Auth"). */
import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../core/clock.ts";
import { InferqError } from "../core/errors.ts";
import type { ApiKey, KeyStore } from "../store/keys.ts";

/** The caller's key, or undefined if there is none or it is not known. */
export type Identify = (headers: IncomingHttpHeaders) => ApiKey | undefined;

/** Answers the caller's key. Throws `missing_key` or `invalid_key`. */
export type Authenticate = (headers: IncomingHttpHeaders) => ApiKey;

/** How long a key found in the key store is taken from memory: a revoked one stops to work within this time. */
const REMEMBERED_MS = 5_000;

const BEARER = /^Bearer +(\S+) *$/i;

/** Keys of the configuration are looked up first, then those of the key store, which the CLI may change meanwhile. */
export function identifier(staticKeys: readonly ApiKey[], keys: Pick<KeyStore, "find">, clock: Clock): Identify {
  const fixed = new Map(staticKeys.map((key) => [key.hash, key]));
  /** By secret, so that a poll need not hash it; good ones only, so that they are no more than there are keys. */
  const remembered = new Map<string, { readonly key: ApiKey; readonly until: number }>();

  return (headers) => {
    const secret = secretOf(headers);
    if (secret === "") return undefined;
    const known = remembered.get(secret);
    if (known !== undefined && (known.until === Infinity || known.until > clock.now())) return known.key;
    const digest = hash("sha256", secret);
    const own = fixed.get(digest);
    const key = own ?? keys.find(digest);
    if (key === undefined) remembered.delete(secret);
    else remembered.set(secret, { key, until: own === undefined ? clock.now() + REMEMBERED_MS : Infinity });
    return key;
  };
}

/** Makes `identify` insist. */
export function authenticator(identify: Identify): Authenticate {
  return (headers) => {
    const key = identify(headers);
    if (key === undefined) throw new InferqError(secretOf(headers) === "" ? "missing_key" : "invalid_key");
    return key;
  };
}

/** Some clients send both headers; an empty `x-api-key` counts as none. */
function secretOf(headers: IncomingHttpHeaders): string {
  const direct = headers["x-api-key"];
  if (typeof direct === "string" && direct !== "") return direct.trim();
  return BEARER.exec(headers.authorization ?? "")?.[1] ?? "";
}

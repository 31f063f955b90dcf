/**
 * Keys of blobs: `<request or upload id>/<attempt>/<128 random bits>.<ext>`. An upload's id begins with
 * `u-`, which tells it from a request's. Nothing else ever becomes a path.
 */
import { idTime, randomToken } from "../core/ids.ts";

const ID = "(?:u-)?[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
const ATTEMPT = "(?:0|[1-9][0-9]{0,8})";
const NAME = "[0-9a-f]{32}\\.[a-z0-9]{1,8}";
const KEY = new RegExp(`^${ID}/${ATTEMPT}/${NAME}$`);
const PREFIX = new RegExp(`^${ID}/(?:${ATTEMPT}/)?$`);

/** What may stand at each level of a key: ids, attempts, file names. */
export const KEY_LEVELS: readonly RegExp[] = [ID, ATTEMPT, NAME].map((level) => new RegExp(`^${level}$`));

/** Whether `text` is a key. Lower case only and of fixed form, so no key leads out of a directory. */
export function isBlobKey(text: string): boolean {
  return KEY.test(text);
}

/** Whether `text` is the prefix of all keys of one id (`<id>/`) or of one attempt (`<id>/<attempt>/`). */
export function isBlobPrefix(text: string): boolean {
  return PREFIX.test(text);
}

/** A new, unguessable key. `extension` comes without its dot, such as `extensionOf` answers it. */
export function newBlobKey(id: string, attempt: number, extension: string): string {
  return `${id}/${attempt}/${randomToken()}.${extension}`;
}

/** Milliseconds since the epoch at which the request or upload that `key` belongs to was made; its files expire with it. */
export function keyTime(key: string): number {
  return idTime(key.startsWith("u-") ? key.slice(2) : key);
}

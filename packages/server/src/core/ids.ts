/**
 * Ids are UUIDv7 (RFC 9562 §5.7) in lower-case hex with dashes, made in time order because a B-tree
 * takes them 3–10 times faster than v4. From the left:
 *
 *   48 bits  milliseconds since the epoch
 *    4       version
 *   12       counter. It begins each millisecond at a random value below 2,048 (RFC 9562 §6.2, method 1),
 *            so that the ids of one maker sort in the order they were made, and those of several seldom meet
 *    2       variant
 *   12       how long the request lives (lives.ts)
 *   26       random
 *   24       MAC over all of the above and the request's owner; random in other ids
 *
 * With the MAC a server can say of a request that it has deleted whether it ever was this owner's, and when
 * it expired. An id that is somebody else's, or nobody's, passes for the caller's own once in 17 million.
 * Two ids of one millisecond are equal with a chance of 2^-37 if one owner's, 2^-61 if not: two servers
 * with one store that take 1,000 requests a second each, all of one owner, would meet once in four
 * years, and the store refuses the second one. The last 32 bits are evenly spread: hash tables rely on it.
 */
import { hash, randomFillSync } from "node:crypto";
import type { Clock } from "./clock.ts";
import { halfSipHash, type HalfSipKey } from "./half-sip-hash.ts";
import { lifeCode, lifeSeconds, UNTOLD_LIFE } from "./lives.ts";

/** Where the MAC begins in the text of an id. */
const MAC_AT = 30;

/** A request's new id, and what it tells: when it was made, and when the request expires, milliseconds since the epoch. Null: that is not known yet. */
export interface NewId {
  readonly id: string;
  readonly madeAt: number;
  readonly expiresAt: number | null;
}

/** Makes the ids of requests, and knows them again. */
export interface RequestIds {
  /** A new id for a request of `owner` that is to live for `life` seconds, rounded up; null: not known yet. `idTime` and `idExpiresAt` read the same from it. */
  make(owner: string, life: number | null): NewId;
  /** Whether `id`, which has passed `isId`, was made for a request of `owner` under the same secret. */
  isOf(owner: string, id: string): boolean;
}

/** `secret` is 128 random bits as hex. Whoever has it can make ids that look like a server's own, and nothing worse. */
export function requestIds(clock: Clock, secret: string): RequestIds {
  const unsigned = unsignedMaker(clock);
  /** As many as there are owners with a key: nobody else gets this far. */
  const keys = new Map<string, HalfSipKey>();
  const keyOf = (owner: string): HalfSipKey => {
    const known = keys.get(owner);
    if (known !== undefined) return known;
    const bits = hash("sha256", secret + owner, "buffer");
    const key: HalfSipKey = [bits.readInt32LE(0), bits.readInt32LE(4)];
    keys.set(owner, key);
    return key;
  };
  const mac = (head: string, owner: string): string => hex24(halfSipHash(head, keyOf(owner)));
  return {
    make(owner, life) {
      const code = life === null ? UNTOLD_LIFE : lifeCode(life);
      const [head, madeAt] = unsigned(code);
      const seconds = lifeSeconds(code);
      return { id: head + mac(head, owner), madeAt, expiresAt: seconds === null ? null : madeAt + seconds * 1000 };
    },
    isOf: (owner, id) => mac(id.slice(0, MAC_AT), owner) === id.slice(MAC_AT),
  };
}

/** Makes ids of anything but the requests of a server: they tell no life and prove nothing. */
export function idMaker(clock: Clock): () => string {
  const unsigned = unsignedMaker(clock);
  return () => unsigned(UNTOLD_LIFE)[0] + random24();
}

/** Makes ids without their last 24 bits, and tells the time in them. */
function unsignedMaker(clock: Clock): (life: number) => readonly [head: string, madeAt: number] {
  let lastMs = 0;
  let time = "";
  let counter = 0;
  return (life) => {
    const ms = Math.floor(clock.now());
    const bits = draw16();
    if (ms > lastMs || counter === 0xfff) {
      lastMs = Math.max(ms, lastMs + 1); // the counter is used up before the millisecond: borrow the next one
      const digits = lastMs.toString(16).padStart(12, "0");
      time = `${digits.slice(0, 8)}-${digits.slice(8)}`;
      counter = bits >>> 5;
    } else counter += 1;
    const variant = 0x8000 | (life << 2) | (bits & 3);
    return [`${time}-${(0x7000 | counter).toString(16)}-${variant.toString(16)}-${random24()}`, lastMs];
  };
}

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Whether `text` has the form of an id of ours. Anything else is unknown without a look-up. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** Milliseconds since the epoch at which `id` was made (RFC 9562 §5.7). */
export function idTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** When the life that `id` tells ends, milliseconds since the epoch, or null if it tells none. Nothing vouches for it but `RequestIds.isOf`. */
export function idExpiresAt(id: string): number | null {
  const life = lifeSeconds((Number.parseInt(id.slice(19, 23), 16) >>> 2) & 0xfff);
  return life === null ? null : idTime(id) + life * 1000;
}

/** 128 random bits as 32 hex digits: a lease token, a file name, a secret. */
export function randomToken(): string {
  const at = draw(16);
  return POOL.toString("hex", at, at + 16);
}

/** 24 random bits as 6 hex digits. */
function random24(): string {
  const at = draw(3);
  return hex24((POOL[at]! << 16) | (POOL[at + 1]! << 8) | POOL[at + 2]!);
}

/** The low 24 bits as 6 hex digits. */
function hex24(bits: number): string {
  return (0x1000000 | (bits & 0xffffff)).toString(16).slice(1);
}

function draw16(): number {
  const at = draw(2);
  return (POOL[at]! << 8) | POOL[at + 1]!;
}

/** Random bytes are drawn for many at a time: one draw costs as much as hundreds of tokens. */
const POOL = Buffer.allocUnsafe(4096);
let drawn = POOL.length;

/** Where in the pool `bytes` lie that nobody else is given. */
function draw(bytes: number): number {
  if (drawn + bytes > POOL.length) {
    randomFillSync(POOL);
    drawn = 0;
  }
  drawn += bytes;
  return drawn - bytes;
}

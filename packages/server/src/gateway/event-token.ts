/**
 * Permission to follow the events of one request, for browsers: an EventSource sends no headers, and a key
 * never stands in a URL. It is made from the server's secret and stored nowhere:
 *
 *   <when it ends, seconds since the epoch, base 36>.<128 bits of SHA-256 over secret, id and that time, base64url>
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../core/clock.ts";

const LIFE_SECONDS = 3_600;
const MAC_LENGTH = 22;
const TOKEN: RegExp = new RegExp(`^([0-9a-z]{1,9})\\.([A-Za-z0-9_-]{${MAC_LENGTH}})$`);

export interface EventTokens {
  /** A token for the events of the request `id`, good for an hour. */
  make(id: string): string;
  /** Whether `token` was made for the events of `id`: it is good, its time is over, or it is none. */
  judge(token: string, id: string): "good" | "over" | "none";
}

/** `idSecret` is that of the server's ids; what is signed with it here is nothing that is signed there. */
export function eventTokens(clock: Clock, idSecret: string): EventTokens {
  const secret = hash("sha256", `events ${idSecret}`);
  // All parts but the last have a fixed length, and half of the digest stays unknown: nothing can be appended.
  const mac = (id: string, until: string): string =>
    hash("sha256", secret + id + until, "base64url").slice(0, MAC_LENGTH);
  // Many are made in a second.
  let second = 0;
  let until = "";
  return {
    make(id) {
      const now = Math.floor(clock.now() / 1000);
      if (now !== second) {
        second = now;
        until = (now + LIFE_SECONDS).toString(36);
      }
      return `${until}.${mac(id, until)}`;
    },
    judge(token, id) {
      const [, ends, given] = TOKEN.exec(token) ?? [];
      if (ends === undefined || given === undefined) return "none";
      if (!timingSafeEqual(Buffer.from(given), Buffer.from(mac(id, ends)))) return "none";
      return Number.parseInt(ends, 36) * 1000 > clock.now() ? "good" : "over";
    },
  };
}

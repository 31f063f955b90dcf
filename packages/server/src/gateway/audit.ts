/** Audit lines: what keys are used for first, and what they are refused. Never a key, never its hash. */
import type { Logger } from "pino";
import type { ApiKey } from "../store/keys.ts";
import type { Call, RefusedKeyError } from "./auth.ts";
import { type AddressOf, networkOf } from "./client-address.ts";

export interface Audit {
  usedFirst(key: ApiKey, call: Call): void;
  refused(error: RefusedKeyError, call: Call): void;
  /** Tells what is still to be told. */
  close(): void;
}

/** Of each network so many refusals a minute are told one by one, the others as their number. */
const TOLD_A_MINUTE = 10;
/** Networks that are told apart in one minute; a flood from more of them is told as one. */
const MOST_NETWORKS = 1_000;
const OTHERS = "others";
const MINUTE_MS = 60_000;

export function auditor(logger: Logger, addressOf: AddressOf): Audit {
  /** Refusals of each network in this minute. */
  const refusals = new Map<string, number>();
  let minute: NodeJS.Timeout | undefined;

  const endMinute = (): void => {
    clearTimeout(minute);
    minute = undefined;
    for (const [network, count] of refusals) {
      const untold = count - (network === OTHERS ? 0 : TOLD_A_MINUTE);
      if (untold > 0) logger.warn({ audit: "keys_refused", address: network, count: untold }, "further keys refused");
    }
    refusals.clear();
  };

  return {
    usedFirst(key, call) {
      const line = { audit: "key_used_first", key: key.name, owner: key.owner, address: addressOf(call) };
      logger.info(line, "key used for the first time");
    },
    refused({ code, why, key }, call) {
      minute ??= setTimeout(endMinute, MINUTE_MS).unref();
      const address = addressOf(call);
      const own = networkOf(address);
      const network = refusals.has(own) || refusals.size < MOST_NETWORKS ? own : OTHERS;
      const count = (refusals.get(network) ?? 0) + 1;
      refusals.set(network, count);
      if (network === OTHERS || count > TOLD_A_MINUTE) return;
      const line = { audit: "key_refused", why, code, key: key?.name ?? null, owner: key?.owner ?? null, address };
      logger.warn(line, "key refused");
    },
    close: endMinute,
  };
}

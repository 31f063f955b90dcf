import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { StartError } from "../config/start-error.ts";
import type { KeyStore } from "../store/keys.ts";
import { makeDataDirectory } from "../store/sqlite/data-directory.ts";
import { openingFault } from "../store/sqlite/faults.ts";
import { sqliteKeys } from "../store/sqlite/keys.ts";

/** The keys of a data directory, which is made if it is missing. Throws `StartError` if it cannot be used. */
export function openKeys(dataDir: string, clock: Clock): KeyStore {
  try {
    makeDataDirectory(dataDir);
    return sqliteKeys(dataDir, clock);
  } catch (error) {
    throw new StartError(openingFault(join(dataDir, "keys.db"), error), { cause: error });
  }
}

/** All that are planted; the simulation must find each. */
import type { PlantedBug } from "./bug.ts";
import { OF_FILES } from "./of-files.ts";
import { OF_LEASES } from "./of-leases.ts";
import { OF_WEBHOOKS } from "./of-webhooks.ts";
import { OF_WRITES } from "./of-writes.ts";

export const BUGS: readonly PlantedBug[] = [...OF_LEASES, ...OF_WRITES, ...OF_FILES, ...OF_WEBHOOKS];

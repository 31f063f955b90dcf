/** The model that the contract's examples call, as the default config serves it. */
import type { ModelEntry } from "inferq";
import config from "../inferq.config.ts";

const isSeedream = (entry: string | ModelEntry): boolean => JSON.stringify(entry).includes('"seedream-4.5"');

export default { ...config, models: config.models.filter(isSeedream) };

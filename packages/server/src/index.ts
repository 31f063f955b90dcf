/**
 * inferq: an async inference server. `defineConfig` types a config file; `startServer` embeds the
 * server in a program of one's own.
 *
 * @module
 */
export { defineConfig, type Config, type LogLevel, type ModelEntry } from "./config/config.ts";
export { loadConfig, type Flags, type GivenKey, type ResolvedConfig } from "./config/load.ts";
export { StartError } from "./config/start-error.ts";
export { startServer, type Server } from "./server.ts";

/** How many connections there may be: clients that wait keep theirs, and the server needs descriptors for more than clients. */
import type { Server } from "node:http";
import type { Logger } from "pino";

/** Descriptors left to the database, to files and to the models' processes; of a low limit a quarter. */
const SPARED = 1_024;
const TOLD_EVERY_MS = 60_000;

/**
 * Lets `server` take no more connections than the limit of open files bears. Each further one is closed at
 * once, which the client may take for a reason to come again; without this it is requests that fail, as their
 * files can no longer be opened.
 */
export function boundConnections(server: Server, logger: Logger): void {
  const limit = openFilesLimit();
  if (limit === undefined) return;
  const most = Math.floor(Math.max(limit - SPARED, limit * 0.75));
  server.maxConnections = most;
  let toldAt = -Infinity;
  server.on("drop", () => {
    if (performance.now() - toldAt < TOLD_EVERY_MS) return;
    toldAt = performance.now();
    logger.warn(
      { connections: most },
      "connections are refused: more would need a higher limit of open files (ulimit -Hn)",
    );
  });
}

/** Of this process, undefined where there is none. Node raises it to what the system allows at most. */
function openFilesLimit(): number | undefined {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
  const limit = userLimits?.open_files?.soft;
  return typeof limit === "number" ? limit : undefined;
}

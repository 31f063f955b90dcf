/** What is left when all is over: memory, descriptors, files, and what the log says. */
import { setTimeout as wait } from "node:timers/promises";
import type { Session } from "./session.ts";

/** Requests live for some seconds there, and the sweep comes each second (fuzz.config.ts). */
const EXPIRED_WITHIN_MS = 60_000;
/** Of the resident memory: what V8 keeps for itself comes and goes. */
const GROWTH_MB = 48;
const GROWTH_SHARE = 0.2;

/** Waits until every request has expired with its files and every connection is gone; else it is a fault. */
export async function comeToRest(session: Session, before: ReadonlyMap<string, number> | undefined): Promise<void> {
  const { server } = session;
  const until = performance.now() + EXPIRED_WITHIN_MS;
  const rest = (): string | undefined => {
    const files = server.filesOfRequests();
    if (files.length > 0) return `${files.length} files of requests that have expired, such as ${files[0]}`;
    const more = [...server.descriptors].filter(
      ([kind, count]) => before !== undefined && count > (before.get(kind) ?? 0),
    );
    if (more.length === 0) return undefined;
    return `descriptors stay open: ${more.map(([kind, count]) => `${count} of ${kind}, ${before?.get(kind) ?? 0} before`).join("; ")}`;
  };
  let left = rest();
  while (left !== undefined && performance.now() < until) {
    await wait(250);
    left = rest();
  }
  if (left !== undefined) session.fault("what is left", left);
}

/**
 * Whether memory grew over the run: `resident` was read at rest after each part of it, MB. The first parts warm up;
 * afterwards the least of the last third may not lie far above the least of the third before it.
 */
export function growthOf(resident: readonly number[]): string | undefined {
  const third = Math.floor(resident.length / 3);
  if (third === 0) return undefined;
  const middle = Math.min(...resident.slice(third, 2 * third));
  const last = Math.min(...resident.slice(-third));
  const most = middle + Math.max(GROWTH_MB, middle * GROWTH_SHARE);
  return last > most ? `memory grew from ${middle} to ${last} MB: ${resident.join(", ")}` : undefined;
}

/** After the server's end: the files that it wrote where it should not. */
export function lookAround(session: Session): void {
  for (const file of session.server.strayFiles()) session.fault("files", `outside the data directory: ${file}`);
}

/** What is left when all is over: memory, descriptors, files, and what the log says. */
import { setTimeout as wait } from "node:timers/promises";
import type { Session } from "./session.ts";

/** Requests live for some seconds there, and the sweep comes each second (fuzz.config.ts). */
const EXPIRED_WITHIN_MS = 60_000;
/**
 * What counts as growth, MB and share of what was there. Resident memory comes and goes with what V8 and the allocator
 * keep for themselves: a million requests tell a leak of some 200 bytes each by it, wherever it is. What is left when
 * everything was collected hardly moves, and tells one of 20 bytes each, in the JavaScript of the main thread.
 */
const GROWTH = {
  resident: { mb: 48, share: 0.2 },
  collected: { mb: 6, share: 0 },
} as const;

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
 * Whether memory grew over the run: `read` was read at rest after each part of it, MB. The first parts warm up;
 * afterwards the least of the last third may not lie far above the least of the third before it.
 */
export function growthOf(what: keyof typeof GROWTH, read: readonly number[]): string | undefined {
  const third = Math.floor(read.length / 3);
  if (third === 0) return undefined;
  const middle = Math.min(...read.slice(third, 2 * third));
  const last = Math.min(...read.slice(-third));
  const { mb, share } = GROWTH[what];
  if (last <= middle + Math.max(mb, middle * share)) return undefined;
  return `${what} memory grew from ${middle} to ${last} MB: ${read.join(", ")}`;
}

/** After the server's end: the files that it wrote where it should not. */
export function lookAround(session: Session): void {
  for (const file of session.server.strayFiles()) session.fault("files", `outside the data directory: ${file}`);
}

/** Reads of one request that come in one turn of the event loop are one: thousands may have waited for the same. */
import type { Request } from "../core/request.ts";
import type { RequestStore } from "../store/store.ts";

/** `store.get`, shared for the rest of the turn. Not for whoever has just written and reads what became of it. */
export function sharedReads(store: Pick<RequestStore, "get">): (id: string) => Promise<Request | undefined> {
  const reads = new Map<string, Promise<Request | undefined>>();
  return (id) => {
    const shared = reads.get(id);
    if (shared !== undefined) return shared;
    if (reads.size === 0) setImmediate(() => reads.clear());
    const read = store.get(id);
    reads.set(id, read);
    return read;
  };
}

/** Runs dead letters once more: for their owners, and for the operator, who does it in the owners' names. */
import { InferqError } from "../core/errors.ts";
import type { Request } from "../core/request.ts";
import { type ApiKey, PLAIN_KEY } from "../store/keys.ts";
import type { GatewayContext } from "./context.ts";
import type { Rerun } from "./rerun.ts";

/**
 * Runs the dead letter `id`, whoever's it is, once more; answers the new request's id. With `onlyOpen` undefined where a
 * replay or a retry has run it already, or another such call is about to. Throws `unknown_dead_letter` and what `Rerun` says.
 */
export type ReplayDeadLetter = (id: string, onlyOpen: boolean) => Promise<string | undefined>;

export function replayer(context: GatewayContext, rerun: Rerun, closing: () => boolean): ReplayDeadLetter {
  const { store, settings, logger } = context;

  const replay = async (id: string, onlyOpen: boolean): Promise<string | undefined> => {
    if (closing()) throw new InferqError("shutting_down");
    const old = await store.get(id);
    const unknown = (): InferqError => new InferqError("unknown_dead_letter", { id });
    if (old === undefined || old.deadLetter === null) throw unknown();
    if (onlyOpen && old.deadLetter === "replayed") return undefined;
    const { id: request } = await rerun({
      old,
      caller: inNameOf(old),
      idempotencyKey: null,
      idempotencyDigest: null,
      base: old.publicBase ?? settings.publicUrl ?? "",
      gone: unknown,
    });
    logger.info({ request, retryOf: id, owner: old.owner, model: old.model, by: "operator" }, "dead letter replayed");
    return request;
  };

  /** Two operators who replay all at once meet the same ones. */
  const open = new Set<string>();
  return async (id, onlyOpen) => {
    if (!onlyOpen) return await replay(id, false);
    if (open.has(id)) return undefined;
    open.add(id);
    try {
      return await replay(id, true);
    } finally {
      open.delete(id);
    }
  };
}

/** The key that `old` came with, as far as a new request needs it. Its limits are for its holder, not for the operator. */
export function inNameOf({ owner, key }: Request): ApiKey {
  return { ...PLAIN_KEY, name: key, owner, hash: "", createdAt: 0, requestsInFlight: Number.MAX_SAFE_INTEGER };
}

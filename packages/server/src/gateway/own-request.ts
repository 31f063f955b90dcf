/** A caller's look at one of its requests. That of another owner does not exist for it. */
import { InferqError } from "../core/errors.ts";
import { idExpiresAt, idTime, isId } from "../core/ids.ts";
import type { Request } from "../core/request.ts";
import type { ApiKey, Scope } from "../store/keys.ts";
import type { RequestStatus, RequestStore } from "../store/store.ts";
import type { Call } from "./auth.ts";
import type { GatewayContext } from "./context.ts";
import { ExpiredError } from "./errors.ts";
import { longestLifeMs } from "./submit-options.ts";

/** Of a route whose path names a request. */
export interface IdPath {
  Params: { id: string };
}

/** The whole request `id`, from `read` if given. Throws what `Authenticate` and `notFound` say. */
export async function ownRequest(
  context: GatewayContext,
  call: Call,
  scope: Scope,
  id: string,
  read: RequestStore["get"] = (id) => context.store.get(id),
): Promise<Request> {
  const key = context.authenticate(call, scope);
  const found = isId(id) ? await read(id) : undefined;
  if (found === undefined || found.owner !== key.owner) throw notTheirs(context, call, key, id);
  return found;
}

/** The light view of the request `id`, at once where the store has it at once. Throws as `ownRequest`. */
export function ownStatus(
  context: GatewayContext,
  call: Call,
  scope: Scope,
  id: string,
): RequestStatus | Promise<RequestStatus> {
  const { store, authenticate } = context;
  const key = authenticate(call, scope);
  const check = (view: RequestStatus | undefined): RequestStatus => {
    if (view === undefined || view.owner !== key.owner) throw notTheirs(context, call, key, id);
    return view;
  };
  const found = isId(id) ? store.status(id) : undefined;
  return found instanceof Promise ? found.then(check) : check(found);
}

/** What `notFound` says, unless too many ids were guessed. */
function notTheirs(context: GatewayContext, call: Call, key: ApiKey, id: string): InferqError {
  return guessOf(context, call, key, id) ?? notFound(context, key.owner, id);
}

/** Counts an id that nothing was found under, where it is neither their own nor none at all: it may have been guessed. Answers the error if there were too many. */
export function guessOf(context: GatewayContext, call: Call, key: ApiKey, id: string): InferqError | undefined {
  if (!isId(id) || context.ids.isOf(key.owner, id)) return undefined;
  return context.guard.stranger(call, key);
}

/**
 * Why there is no request `id` for this owner: it has expired, if it was made here for the same owner and its
 * life is over. Else nobody can say: it may never have been, be another owner's, or have been deleted.
 */
export function notFound(
  context: Pick<GatewayContext, "ids" | "clock" | "settings">,
  owner: string,
  id: string,
): InferqError {
  const { ids, clock, settings } = context;
  if (!isId(id) || !ids.isOf(owner, id)) return new InferqError("unknown", { id });
  const told = idExpiresAt(id);
  // One that was kept until its first reading is gone at the latest when the longest life is over.
  const isOver = (told ?? idTime(id) + longestLifeMs(settings)) <= clock.now();
  return isOver ? new ExpiredError(id, told) : new InferqError("unknown", { id });
}

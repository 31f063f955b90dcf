/** A caller's look at one of its requests. That of another owner does not exist for it. */
import type { IncomingHttpHeaders } from "node:http";
import { InferqError } from "../core/errors.ts";
import { isId } from "../core/ids.ts";
import type { Request } from "../core/request.ts";
import type { RequestStatus } from "../store/store.ts";
import type { GatewayContext } from "./context.ts";

/** The whole request `id`. Throws `missing_key`, `invalid_key`, or what `notFound` says. */
export async function ownRequest(
  { store, authenticate }: GatewayContext,
  headers: IncomingHttpHeaders,
  id: string,
): Promise<Request> {
  const { owner } = authenticate(headers);
  const found = isId(id) ? await store.get(id) : undefined;
  if (found === undefined || found.owner !== owner) throw notFound(id);
  return found;
}

/** The light view of the request `id`, at once where the store has it at once. Throws as `ownRequest`. */
export function ownStatus(
  { store, authenticate }: GatewayContext,
  headers: IncomingHttpHeaders,
  id: string,
): RequestStatus | Promise<RequestStatus> {
  const { owner } = authenticate(headers);
  const check = (view: RequestStatus | undefined): RequestStatus => {
    if (view === undefined || view.owner !== owner) throw notFound(id);
    return view;
  };
  const found = isId(id) ? store.status(id) : undefined;
  return found instanceof Promise ? found.then(check) : check(found);
}

/** Why there is no request `id` for this caller. */
function notFound(id: string): InferqError {
  return new InferqError("unknown", { id });
}

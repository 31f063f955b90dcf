/**
 * Polls that wait. One for a request of one's own is held before the router, as nothing but its connection,
 * until the request is finished; from then on it is a plain poll, and is answered as all are. Whatever is wrong
 * with it is for the routes to say.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { isId } from "../core/ids.ts";
import type { GatewayContext } from "./context.ts";
import { forgetWish, isBehindAnother, tellGranted, waitWish } from "./wait-wish.ts";
import type { Waiter } from "./waiter.ts";

const POLL = /^\/(?:v2\/requests\/([^/?]+)(?:\/status)?|v1\/requests\/([^/?]+))(?:\?|$)/;

interface Wish {
  readonly id: string;
  readonly owner: string;
  readonly seconds: number;
}

/** Holds a poll that asks to wait and passes it to `answer` in the end. Answers false, having done nothing, for everything else. */
export function waitPoll(
  { store, identify, settings }: Pick<GatewayContext, "store" | "identify" | "settings">,
  waits: Waiter,
  answer: RequestListener,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const wishOf = (request: IncomingMessage, response: ServerResponse): Wish | undefined => {
    const { method, url, headers } = request;
    if ((method !== "GET" && method !== "HEAD") || isBehindAnother(response)) return undefined;
    if (!url!.includes("?") && headers["prefer"] === undefined) return undefined;
    const found = POLL.exec(url!);
    const id = found?.[1] ?? found?.[2] ?? "";
    if (!isId(id)) return undefined;
    const owner = identify(request, "read")?.owner;
    const seconds = waitWish(request, settings.waitLimitSeconds);
    return owner === undefined || seconds === 0 ? undefined : { id, owner, seconds };
  };

  const isOwn = async ({ id, owner }: Wish): Promise<boolean> => {
    try {
      return (await store.status(id))?.owner === owner;
    } catch {
      return false; // the route asks again, and says why it cannot tell
    }
  };

  const hold = async (wish: Wish, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    forgetWish(request);
    if (!(await isOwn(wish))) return answer(request, response);
    waits.wait(wish.id, wish.seconds * 1000, response, () => {
      tellGranted(response, wish.seconds);
      answer(request, response);
    });
  };

  return (request, response) => {
    let wish: Wish | undefined;
    try {
      wish = wishOf(request, response);
    } catch {
      return false; // it will throw again where errors are answered
    }
    if (wish === undefined) return false;
    void hold(wish, request, response);
    return true;
  };
}

/** The reading of a result that is kept until it has been read: from then on it lives no longer than others do. */
import type { ServerResponse } from "node:http";
import { isFinished, type Request } from "../core/request.ts";
import type { GatewayOptions } from "./options.ts";

/**
 * Call it with each full answer about a request (the result, the poll, what a submit waited for), before
 * it is sent. It counts once it has been sent whole: a connection that broke in the middle has brought
 * nobody anything. The write makes no answer wait, and none fail; a further reading changes nothing.
 */
export function countReading(
  { store, clock, logger }: Pick<GatewayOptions, "store" | "clock" | "logger">,
  { id, owner, keepMs, expiresAt, status }: Request,
  response: ServerResponse,
): void {
  if (keepMs === null || !isFinished(status) || response.req.method === "HEAD") return;
  const count = (): void => {
    const isError = status === "COMPLETED" && response.statusCode !== 200; // its file could not be read
    const until = clock.now() + keepMs;
    if (isError || expiresAt <= until) return;
    store.expireBy(id, until).catch((err: unknown) => {
      logger.warn({ request: id, owner, err }, "a reading was not counted; the result is kept for the next");
    });
  };
  response.once("finish", count);
}

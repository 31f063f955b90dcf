/** How long the files of this server live: as long as their request; an uploaded asset as long as a request made with it. */
import { keyTime } from "../blob/key.ts";
import type { GatewayOptions } from "./options.ts";

/** When the file under `key` is gone, ms since the epoch, deleted already or not. 0 where its request is not known. */
export async function fileExpiry(
  key: string,
  { store, settings }: Pick<GatewayOptions, "store" | "settings">,
): Promise<number> {
  if (key.startsWith("u-")) return keyTime(key) + settings.resultTtlSeconds * 1000;
  const request = await store.status(key.slice(0, key.indexOf("/")));
  return request?.expiresAt ?? 0;
}

/** Stands in for `node:crypto`: what is random comes from the seed. */
import { randomToken } from "../../../packages/server/src/core/ids.ts";
import { machine } from "../machine.ts";

export * from "node:crypto";

/** How often bytes were drawn, by whoever draws many at a time. */
let draws = 0;

export function randomFillSync<T extends Uint8Array>(bytes: T): T {
  draws += 1;
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(machine().random.next() * 256);
  return bytes;
}

export function randomBytes(size: number): Buffer {
  return randomFillSync(Buffer.alloc(size));
}

/** Uses up what was drawn ahead in the schedule before: no schedule may depend on another. */
export function forgetDrawn(): void {
  const before = draws;
  // oxlint-disable-next-line no-unmodified-loop-condition -- what it calls draws
  while (draws === before) randomToken();
}

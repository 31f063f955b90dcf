/** A long queue behind a model that is slow to work it off: what each start reads in. Its requests live until the run is over. */
import { setTimeout as wait } from "node:timers/promises";
import { submit } from "./clients.ts";
import type { World } from "./world.ts";

const AT_ONCE = 4;

/** Submits `count` requests that end with the run, at `until` (ms since the epoch). */
export async function fillBacklog(world: World, count: number, until: number): Promise<void> {
  let sent = 0;
  const one = async (): Promise<void> => {
    while (!world.over && sent < count) {
      const nonce = `backlog-${sent++}`;
      const lifeMs = Math.ceil((until - Date.now()) / 1000) * 1000;
      if (lifeMs <= 0) return;
      const body = JSON.stringify({ nonce, how: "slow", size: 10, ms: 40 });
      const facts = {
        nonce,
        model: "backlog",
        fate: "completes",
        size: 10,
        material: "-",
        pictures: 0,
        webhook: false,
        startTimeout: false,
        idempotencyKey: null,
        cancelled: false,
      } as const;
      const headers = { "content-type": "application/json", "x-result-ttl": String(lifeMs / 1000) };
      await submit(world, { facts: { ...facts }, path: "/v2/backlog", headers, body, lifeMs });
      if (sent % 100 === 0) await wait(10); // the clients' turn
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

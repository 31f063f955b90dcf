/** Keys made and revoked on the command line, beside a server that dies all the time: each command that said it was done must count. */
import { setTimeout as wait } from "node:timers/promises";
import { inferq } from "../../test/command-line.ts";
import { isAnswer } from "../lib/http.ts";
import { say } from "./talk.ts";
import type { World } from "./world.ts";

/** Between two commands: each is a process that takes half a second of a core. */
const PAUSE_MS = 3_000;

/** Makes and revokes one key after the other until the run is over; answers how many. */
export async function keyKeeper(world: World, directory: string, config: string): Promise<number> {
  const where = ["--data-dir", directory, "--config", config];
  let made = 0;
  for (let count = 0; !world.over; count++) {
    const name = `key-${count}`;
    const created = await inferq(["keys", "create", "--name", name, ...where]);
    if (created.code === 0) {
      made += 1;
      const secret = created.stdout.trim();
      await expect(world, secret, 200, `the key ${name} was made`);
      await pause(world);
      const revoked = await inferq(["keys", "revoke", name, ...where]);
      // Where the command failed, its server may have died before or after it was done.
      if (revoked.code === 0) await expect(world, secret, 401, `the key ${name} was revoked`);
    }
    await pause(world);
  }
  return made;
}

async function expect(world: World, key: string, status: number, why: string): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    const answer = await say(world, { path: "/v2/requests?limit=1", headers: { "x-api-key": key } });
    if (!isAnswer(answer) || answer.status === 503) continue;
    if (answer.status !== status)
      world.ledger.problem(`${why}, and is answered ${answer.status} where ${status} was expected`);
    return;
  }
}

async function pause(world: World): Promise<void> {
  for (const until = Date.now() + PAUSE_MS; Date.now() < until && !world.over;) await wait(100);
}

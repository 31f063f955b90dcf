/** How the command line reaches the keys: through the server that uses them, or in their file where none does. */
import { StartError } from "../config/start-error.ts";
import { systemClock } from "../core/clock.ts";
import { type KeyAnswer, type KeyCommand, obey } from "../server/key-commands.ts";
import { openKeys } from "../server/open-keys.ts";
import type { StoredKey } from "../store/keys.ts";
import { askServer } from "./reach-server.ts";

/** How long a server has to answer: one that works takes a few thousandths of it. */
const ANSWER_MS = 5_000;

/** Does `command` and answers the keys that it was about. Throws `StartError` with the reason if nothing was done, or that is not known. */
export async function keysDo(command: KeyCommand, dataDir: string): Promise<readonly StoredKey[]> {
  const answer = (await askServer<KeyAnswer>(command, dataDir, ANSWER_MS)) ?? obeyHere(command, dataDir);
  if (!answer.ok) throw new StartError(answer.sentence);
  return answer.keys;
}

function obeyHere(command: KeyCommand, dataDir: string): KeyAnswer {
  using keys = openKeys(dataDir, systemClock());
  return obey(keys, command, "cli");
}

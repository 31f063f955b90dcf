/** How the command line reaches the keys: through the server that uses them, or in their file where none does. */
import { connect } from "node:net";
import { StartError } from "../config/start-error.ts";
import { systemClock } from "../core/clock.ts";
import { type ControlPath, controlPath } from "../server/control-path.ts";
import { type KeyAnswer, type KeyCommand, obey } from "../server/key-commands.ts";
import { openKeys } from "../server/open-keys.ts";
import type { StoredKey } from "../store/keys.ts";

/** How long a server has to answer: one that works takes a few thousandths of it. */
const ANSWER_MS = 5_000;
/** Longest answer, characters: some hundred thousand keys. */
const MOST_CHARS = 256 * 1024 * 1024;
const UNKNOWN = `Nobody knows whether this was done: see "keys list" when it answers again, or stop it first.`;
const BROKEN = `ended the call without an answer. ${UNKNOWN}`;
/** No server is there: no socket, or one of a server that is dead. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED"]);

/** Does `command` and answers the keys that it was about. Throws `StartError` with the reason if nothing was done, or that is not known. */
export async function keysDo(command: KeyCommand, dataDir: string): Promise<readonly StoredKey[]> {
  const answer = (await askServer(command, dataDir)) ?? obeyHere(command, dataDir);
  if (!answer.ok) throw new StartError(answer.sentence);
  return answer.keys;
}

function obeyHere(command: KeyCommand, dataDir: string): KeyAnswer {
  using keys = openKeys(dataDir, systemClock());
  return obey(keys, command, "cli");
}

/** The server's answer; undefined if there is no server, or no way to it: then it sees the change in the file. */
async function askServer(command: KeyCommand, dataDir: string): Promise<KeyAnswer | undefined> {
  using control = wayTo(dataDir);
  if (control === undefined) return undefined;
  try {
    return JSON.parse(await ask(control.path, `${JSON.stringify(command)}\n`)) as KeyAnswer;
  } catch (error) {
    if (error instanceof NoServer) return undefined;
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`The server that uses ${dataDir} ${why}`, { cause: error });
  }
}

function wayTo(dataDir: string): ControlPath | undefined {
  try {
    return controlPath(dataDir);
  } catch {
    return undefined;
  }
}

class NoServer extends Error {}

function ask(path: string, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    let isConnected = false;
    const socket = connect(path, () => {
      isConnected = true;
      socket.write(question);
    });
    const fail = (why: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(why);
    };
    const silent = `did not answer within ${ANSWER_MS / 1000} s. ${UNKNOWN}`;
    const timer = setTimeout(() => fail(new Error(silent)), ANSWER_MS);
    socket.setEncoding("utf8");
    socket.on("data", (piece: string) => {
      answer += piece;
      if (answer.length > MOST_CHARS) return fail(new Error("answered more than this program takes."));
      if (!piece.endsWith("\n")) return;
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (NOBODY.has(error.code ?? "")) fail(new NoServer());
      else fail(new Error(isConnected ? BROKEN : `cannot be reached: ${error.message}.`));
    });
    socket.on("close", () => fail(new Error(BROKEN)));
  });
}

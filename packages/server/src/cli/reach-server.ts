/** How the command line reaches the server that uses a data directory. */
import { connect } from "node:net";
import { StartError } from "../config/start-error.ts";
import { type ControlPath, controlPath } from "../server/control-path.ts";

/** Longest answer, characters: some hundred thousand keys. */
const MOST_CHARS = 256 * 1024 * 1024;
const UNKNOWN = "Nobody knows whether this was done: look when it answers again, or stop it first.";
const BROKEN = `ended the call without an answer. ${UNKNOWN}`;
/** No server is there: no socket, or one of a server that is dead. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED"]);

/**
 * The server's answer to `command`; undefined if there is no server, or no way to it. Throws `StartError` where it
 * gives none within `limitMs`: then nobody knows what it did.
 */
export async function askServer<Answer>(
  command: object,
  dataDir: string,
  limitMs: number,
): Promise<Answer | undefined> {
  using control = wayTo(dataDir);
  if (control === undefined) return undefined;
  try {
    return JSON.parse(await ask(control.path, `${JSON.stringify(command)}\n`, limitMs)) as Answer;
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

function ask(path: string, question: string, limitMs: number): Promise<string> {
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
    const silent = `did not answer within ${limitMs / 1000} s. ${UNKNOWN}`;
    const timer = setTimeout(() => fail(new Error(silent)), limitMs);
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

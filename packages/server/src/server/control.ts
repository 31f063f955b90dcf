/**
 * The socket in the data directory through which the command line reaches a running server: one line of JSON
 * asks, one line answers. Whoever may open it may do everything, so it is its user's alone.
 */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Logger } from "pino";
import type { KeyStore } from "../store/keys.ts";
import { controlPath } from "./control-path.ts";
import {
  type DeadLetterAnswer,
  type DeadLetterCommand,
  type DeadLetterDesk,
  obeyOnDeadLetters,
} from "./dead-letter-commands.ts";
import { type KeyAnswer, type KeyCommand, obey } from "./key-commands.ts";

/** Longest line that is read, characters. */
const MOST_CHARS = 64 * 1024;
/** A caller that says nothing, or does not read, is cut off after this time. */
const IDLE_MS = 5_000;
const MOST_CALLERS = 32;
/** What a file that is made has not: any right for others than its user, and to be run. */
const PRIVATE = 0o177;

const TEXT = { type: "string", minLength: 1, maxLength: 1_000 };
const HASH = { type: "string", pattern: "^[0-9a-f]{64}$" };
/** Milliseconds since the epoch, or of them: less than a Date may have, also when added to now. */
const MS = { type: "number", minimum: 0, maximum: 4e15 };
const POSITIVE_OR_NULL = { type: ["number", "null"], exclusiveMinimum: 0, maximum: 1e9 };

const KEY_SCHEMA = {
  type: "object",
  required: [
    "name",
    "owner",
    "hash",
    "scopes",
    "models",
    "requestsPerSecond",
    "requestsInFlight",
    "createdAt",
    "expiresAt",
  ],
  additionalProperties: false,
  properties: {
    name: TEXT,
    owner: TEXT,
    hash: HASH,
    scopes: { type: "array", items: { enum: ["submit", "read", "admin"] } },
    models: { type: ["array", "null"], items: TEXT },
    requestsPerSecond: POSITIVE_OR_NULL,
    requestsInFlight: { type: ["integer", "null"], minimum: 1 },
    createdAt: MS,
    expiresAt: { ...MS, type: ["number", "null"] },
  },
};

const ID = { type: "string", pattern: "^[0-9a-f-]{36}$" };

const KEY_COMMANDS = {
  list: {},
  add: { key: KEY_SCHEMA },
  revoke: { name: TEXT },
  rotate: { name: TEXT, hash: HASH, overlapMs: MS },
};
KEY_COMMANDS satisfies Record<KeyCommand["do"], object>;

const DEAD_LETTER_COMMANDS = {
  "list dead letters": {
    model: { ...TEXT, type: ["string", "null"] },
    state: { enum: ["open", "replayed", null] },
    before: { ...ID, type: ["string", "null"] },
    limit: { type: "integer", minimum: 1, maximum: 200 },
  },
  "show dead letter": { id: ID },
  "replay dead letters": { ids: { type: "array", items: ID, maxItems: 100 }, onlyOpen: { type: "boolean" } },
};
DEAD_LETTER_COMMANDS satisfies Record<DeadLetterCommand["do"], object>;

type Command = KeyCommand | DeadLetterCommand;
type Answer = KeyAnswer | DeadLetterAnswer;

/** What commands are about. */
export interface Commanded {
  readonly keys: KeyStore;
  readonly deadLetters: DeadLetterDesk;
}

/**
 * Listens in `dataDir`, whose lock this process must have: a socket that lies there is a dead server's. One that
 * cannot be made is no reason not to serve: the log says so, and what the command line changes is seen within a second.
 */
export async function listenForCommands(
  dataDir: string,
  commanded: Commanded,
  logger: Logger,
): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  try {
    const { path } = opened.use(controlPath(dataDir));
    rmSync(path, { force: true });
    const server = createServer();
    const callers = answerCalls(server, commanded);
    server.maxConnections = MOST_CALLERS;
    await listenPrivately(server, path);
    opened.defer(() => close(server, callers));
    server.on("error", (err) => logger.warn({ err }, "the control socket failed"));
  } catch (err) {
    logger.warn(
      { err },
      "there is no control socket: changes by `inferq keys` are seen within a second, `inferq dead-letters` cannot work",
    );
  }
  return opened.move();
}

/** The socket's file is made inside `listen`, at once; no other code of this thread runs before the mask is back. */
async function listenPrivately(server: Server, path: string): Promise<void> {
  const mask = process.umask(PRIVATE);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await once(server, "listening");
}

/** Its file goes with it. */
async function close(server: Server, callers: Iterable<Socket>): Promise<void> {
  const closed = once(server, "close");
  server.close();
  for (const caller of callers) caller.destroy();
  await closed;
}

/** Answers all who connect; answers who is connected. */
function answerCalls(server: Server, { keys, deadLetters }: Commanded): ReadonlySet<Socket> {
  const callers = new Set<Socket>();
  const isCommand = new Ajv2020({ strict: false, validateSchema: false }).compile<Command>({
    type: "object",
    oneOf: Object.entries<object>({ ...KEY_COMMANDS, ...DEAD_LETTER_COMMANDS }).map(([name, properties]) => ({
      properties: { do: { const: name }, ...properties },
      required: ["do", ...Object.keys(properties)],
      additionalProperties: false,
    })),
  });

  const answerTo = (line: string): Answer | Promise<Answer> => {
    const command = parsed(line);
    if (isCommand(command))
      return isOnDeadLetters(command) ? obeyOnDeadLetters(deadLetters, command) : obey(keys, command, "socket");
    return { ok: false, sentence: "This server does not know such a command; perhaps it is of another version." };
  };

  server.on("connection", (caller) => {
    const answer = (it: Answer): void => {
      caller.setTimeout(IDLE_MS);
      caller.end(`${JSON.stringify(it)}\n`);
    };
    let line = "";
    const read = (piece: string): void => {
      line += piece;
      const end = line.indexOf("\n");
      if (end < 0 && line.length <= MOST_CHARS) return;
      caller.off("data", read);
      caller.resume(); // what comes after is read, or the answer would be lost with it
      if (end >= 0 && end <= MOST_CHARS) {
        caller.setTimeout(0); // now it is the server that takes its time
        void Promise.resolve(answerTo(line.slice(0, end))).then(answer);
      } else answer({ ok: false, sentence: `A command has at most ${MOST_CHARS} characters.` });
    };
    caller.setEncoding("utf8");
    caller.setTimeout(IDLE_MS, () => caller.destroy());
    caller.on("data", read);
    caller.on("error", () => {}); // it went away
    callers.add(caller);
    caller.on("close", () => callers.delete(caller));
  });
  return callers;
}

function isOnDeadLetters(command: Command): command is DeadLetterCommand {
  return Object.hasOwn(DEAD_LETTER_COMMANDS, command.do);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

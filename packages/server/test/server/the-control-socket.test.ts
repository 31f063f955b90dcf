/** The socket through which the command line changes the keys of a running server. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keysDo } from "../../src/cli/reach-keys.ts";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { type Commanded, listenForCommands } from "../../src/server/control.ts";
import type { KeyAnswer, KeyCommand } from "../../src/server/key-commands.ts";
import { type ApiKey, type KeyStore, PLAIN_KEY } from "../../src/store/keys.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { manualClock } from "../../src/testing/clock.ts";
import { scratchDirectory } from "../scratch.ts";

const key: ApiKey = { ...PLAIN_KEY, name: "ci", owner: "team", hash: "a".repeat(64), createdAt: 1 };

let open: AsyncDisposableStack;
let dataDir: string;
let keys: KeyStore;
let logs: string[];
beforeEach(async () => {
  open = new AsyncDisposableStack();
  dataDir = open.use(await scratchDirectory()).path;
  keys = open.use(sqliteKeys(dataDir, manualClock()));
  logs = [];
});
afterEach(async () => await open.disposeAsync());

function commanded(): Commanded {
  const blobs = fsBlobStore(join(dataDir, "files"));
  const replay = (id: string): Promise<never> => Promise.reject(new Error(`No ${id} here.`));
  return { keys, deadLetters: { store: memoryStore({ clock: manualClock() }), blobs, replay } };
}

async function listen(directory: string = dataDir): Promise<AsyncDisposable> {
  const logger = pino({}, { write: (line: string) => void logs.push(line) });
  return open.use(await listenForCommands(directory, commanded(), logger));
}

function socketFile(directory: string = dataDir): string {
  return join(directory, "control.sock");
}

/** Sends `bytes` as they are; answers all that comes until the server ends the connection. */
async function raw(bytes: string | Buffer): Promise<string> {
  const socket = connect(socketFile());
  socket.write(bytes);
  return await text(socket);
}

async function ask(command: unknown): Promise<KeyAnswer> {
  return JSON.parse(await raw(`${JSON.stringify(command)}\n`)) as KeyAnswer;
}

test("what it is told counts at once, and goes by its name in the log", async () => {
  await listen();
  const told: unknown[] = [];
  keys.onChange(() => keys.tellChanges(({ audit, by }) => told.push([audit, by])));
  const hash = "b".repeat(64);
  expect(await ask({ do: "add", key })).toEqual({ ok: true, keys: [] });
  expect(keys.find(key.hash)?.key).toEqual(key);
  expect(await ask({ do: "rotate", name: "ci", hash, overlapMs: 0 })).toMatchObject({ ok: true, keys: [{ hash }] });
  expect(await ask({ do: "revoke", name: "ci" })).toMatchObject({ ok: true, keys: [{ name: "ci" }] });
  expect(keys.find(hash)?.ends).toBe("revoked");
  expect(await ask({ do: "list" })).toEqual({ ok: true, keys: keys.list() });
  expect(told).toEqual([["key_created", "socket"], ["key_rotated", "socket"], ["key_revoked", "socket"]]); // prettier-ignore
  expect(await ask({ do: "revoke", name: "ci" })).toEqual({ ok: false, sentence: "The key ci is revoked already." });
});

test("it is its user's alone from the first moment on, whatever the umask, and goes with a clean stop", async () => {
  const mask = process.umask(0);
  const listening = listenForCommands(dataDir, commanded(), pino({}, { write() {} }));
  expect(statSync(socketFile()).mode & 0o777).toBe(0o600); // before anything else has run
  writeFileSync(join(dataDir, "other"), "");
  expect(statSync(join(dataDir, "other")).mode & 0o777).toBe(0o666); // the mask is as it was
  process.umask(mask);
  await (await listening)[Symbol.asyncDispose]();
  expect(existsSync(socketFile())).toBe(false);
});

const UNKNOWN = "01970000-0000-7000-8000-000000000000";

test("dead letters are asked about on the same socket, each with its own answer", async () => {
  await listen();
  const list = { do: "list dead letters", model: null, state: "open", before: null, limit: 50 };
  const body = `{"dead_letters":[],"next_cursor":null}`;
  expect(await ask(list)).toEqual({ ok: true, body, next: null });
  expect(await ask({ do: "show dead letter", id: UNKNOWN })).toMatchObject({ ok: false });
  expect(await ask({ do: "replay dead letters", ids: [UNKNOWN], onlyOpen: false })).toEqual({
    ok: true,
    replayed: [{ id: UNKNOWN, sentence: `No ${UNKNOWN} here.`, isFull: false }],
  });
});

const HELLO = "This server does not know such a command; perhaps it is of another version.";
test.each<[string, string | Buffer, string]>([
  ["no JSON", "hello\n", HELLO],
  ["HTTP", "GET / HTTP/1.1\r\n\r\n", HELLO],
  [
    "bytes of all kinds",
    Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.from("\n")]),
    HELLO,
  ],
  ["JSON of another kind", "[null]\n", HELLO],
  ["a command that there is not", `{"do":"stop"}\n`, HELLO],
  ["a field too many", `{"do":"revoke","name":"ci","now":true}\n`, HELLO],
  ["a name that is none", `{"do":"revoke","name":{"toString":1}}\n`, HELLO],
  ["a hash that is none", `{"do":"rotate","name":"ci","hash":"x","overlapMs":0}\n`, HELLO],
  ["a time that is none", `{"do":"rotate","name":"ci","hash":"${"b".repeat(64)}","overlapMs":1e999}\n`, HELLO],
  ["a key with an unknown scope", `${JSON.stringify({ do: "add", key: { ...key, scopes: ["root"] } })}\n`, HELLO],
  ["an id that is none", `{"do":"show dead letter","id":"../keys.db"}\n`, HELLO],
  ["a replay of too many", `{"do":"replay dead letters","ids":${JSON.stringify(Array(101).fill(UNKNOWN))}}\n`, HELLO],
  ["a line without an end", "x".repeat(1_000_000), "A command has at most 65536 characters."],
  ["two lines: the first counts", `{"do":"revoke","name":"nobody"}\n{"do":"list"}\n`, "There is no key named nobody."],
])("garbage is answered with a sentence and harms nobody: %s", async (_name, bytes, sentence) => {
  await listen();
  keys.add(key, "cli");
  expect(JSON.parse(await raw(bytes))).toEqual({ ok: false, sentence });
  expect(keys.list()).toMatchObject([key]);
  expect(await keysDo({ do: "list" }, dataDir)).toMatchObject([key]);
});

test("callers that say nothing or go away leave nothing behind, and hold up no stop", async () => {
  const server = await listen();
  const callers = await Promise.all(
    Array.from({ length: 10 }, async (): Promise<Socket> => {
      const caller = connect(socketFile());
      await once(caller, "connect");
      caller.write(`{"do":`);
      return caller;
    }),
  );
  for (const caller of callers.slice(5)) caller.destroy();
  expect(await ask({ do: "list" })).toEqual({ ok: true, keys: [] });
  const ended = callers.slice(0, 5).map(async (caller) => await text(caller).catch(() => "cut off"));
  await server[Symbol.asyncDispose]();
  await Promise.all(ended);
});

test("a dead server's socket is replaced; what is no socket of ours is left, and the server goes on without", async () => {
  const left = `require("net").createServer().listen(${JSON.stringify(socketFile())}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["--eval", left]);
  expect(statSync(socketFile()).isSocket()).toBe(true);
  await keysDo({ do: "add", key }, dataDir); // nobody is there
  const server = await listen();
  expect(await ask({ do: "revoke", name: "ci" })).toMatchObject({ ok: true });
  await server[Symbol.asyncDispose]();

  mkdirSync(socketFile());
  await listen();
  expect(logs.join("")).toContain("there is no control socket");
  expect(logs).toHaveLength(1);
});

test("a path that is longer than a socket may have leads there all the same", async () => {
  const deep = join(dataDir, "d".repeat(100), "e".repeat(100));
  mkdirSync(deep, { recursive: true });
  const server = await listen(deep);
  expect(statSync(socketFile(deep)).mode & 0o777).toBe(0o600);
  await keysDo({ do: "add", key }, deep);
  expect(keys.find(key.hash)?.key).toEqual(key); // through this process's store, which lies elsewhere
  await server[Symbol.asyncDispose]();
  expect(existsSync(socketFile(deep))).toBe(false);
  expect(logs).toEqual([]);
});

test("without a server the command line works on the file, and says the same", async () => {
  const commands: KeyCommand[] = [{ do: "add", key }, { do: "revoke", name: "ci" }, { do: "list" }];
  for (const command of commands) await keysDo(command, dataDir);
  await expect(keysDo({ do: "revoke", name: "ci" }, dataDir)).rejects.toThrow("The key ci is revoked already.");
  keys.refresh();
  expect(keys.find(key.hash)?.ends).toBe("revoked");
});

test("a server that ends the call without an answer is told of, and nothing is done behind its back", async () => {
  const rude = createServer((caller) => caller.destroy()).listen(socketFile());
  await once(rude, "listening");
  await expect(keysDo({ do: "add", key }, dataDir)).rejects.toThrow("ended the call without an answer.");
  rude.close();
  await once(rude, "close");
  expect(await keysDo({ do: "list" }, dataDir)).toEqual([]);
});

test("a server that does not answer is given up", async () => {
  const callers: Socket[] = [];
  const hung = createServer((caller) => callers.push(caller)).listen(socketFile());
  await once(hung, "listening");
  await expect(keysDo({ do: "add", key }, dataDir)).rejects.toThrow("did not answer within 5 s.");
  for (const caller of callers) caller.destroy();
  hung.close();
  await once(hung, "close");
  expect(await keysDo({ do: "list" }, dataDir)).toEqual([]);
}, 15_000);

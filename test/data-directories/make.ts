/**
 * Makes the data directories of one version: `node --conditions=@inferq/source test/data-directories/make.ts [CHECKOUT]`.
 * Its real server is given requests in every state that it knows, and is stopped in one directory and
 * killed in the other. What was answered to them stands beside the directory in `facts.json`.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import type { RealServer, realServer } from "../real-server.ts";
import { type Facts, HOOK_PORT, type KnownRequest } from "./facts.ts";

const HERE = import.meta.dirname;
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==";
const NOTE = "What was asked for in a great many words. ".repeat(2_500);

/** Which parts of the API a version has, by the schema of its queue's file. */
const CANCEL_SINCE = 2;
const WEBHOOKS_SINCE = 3;

const checkout = resolve(process.argv[2] ?? join(HERE, "../.."));
const CONFIG = join(checkout, "test/data-directories/config.ts");
if (checkout !== resolve(HERE, "../..")) {
  mkdirSync(dirname(CONFIG), { recursive: true });
  for (const name of ["config.ts", "digest.ts"]) cpSync(join(HERE, name), join(dirname(CONFIG), name));
}
/** Of the version that the checkout is of, whose own files start it and say how new it is. */
const { realServer: start } = await moduleOf<{ realServer: typeof realServer }>("test/real-server.ts");
const { MIGRATIONS } = await moduleOf<{ MIGRATIONS: readonly string[] }>("packages/server/src/store/sqlite/schema.ts");
const version = MIGRATIONS.length;
const commit = execFileSync("git", ["-C", checkout, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();

for (const left of ["stopped", "killed"] as const) {
  const directory = mkdtempSync(join(tmpdir(), "inferq-older-"));
  const facts = await live(directory, left);
  const target = join(HERE, `schema-${facts.schema}-${left}`);
  rmSync(target, { recursive: true, force: true });
  const bytes = keep(directory, target);
  writeFileSync(join(target, "facts.json"), `${JSON.stringify(facts, null, 2)}\n`);
  rmSync(directory, { recursive: true });
  console.log(`${target}: ${facts.requests.length} requests, ${bytes} bytes`);
}
process.exit(0); // connections to the servers are kept open for a while

/** A server's life in `directory`, up to its end. */
async function live(directory: string, left: Facts["left"]): Promise<Facts> {
  const keys = [
    { name: "test", secret: "sg_0123456789abcdef" },
    { name: "plain", secret: key(directory, "plain", []) },
  ];
  keys.push({ name: "admin", secret: key(directory, "admin", ["--admin"]) });
  const env: Record<string, string> = version >= WEBHOOKS_SINCE ? { INFERQ_ALLOW_PRIVATE: "webhook" } : {};
  await using server = await start({ directory, config: CONFIG, env });
  await server.ready();
  if (version >= WEBHOOKS_SINCE) {
    const scoped = ["--owner", "test", "--scopes", "read", "--models", "digest", "--expires", "365d"];
    keys.push({ name: "reads", secret: key(directory, "reads", scoped) });
    const before = key(directory, "rotated", ["--owner", "test"]);
    const after = inferq(["keys", "rotate", "rotated", "--overlap", "30d"], directory).trim();
    keys.push({ name: "rotated", secret: before }, { name: "rotated", secret: after });
    key(directory, "revoked", []);
    inferq(["keys", "revoke", "revoked"], directory);
  }

  const requests: KnownRequest[] = [];
  const add = (what: string, id: string): string => {
    requests.push({ what, id });
    return id;
  };
  const upload = await post(server, "/upload-asset", { data_urls: [`data:image/png;base64,${PIXEL}`] });
  const [image] = ((await upload.json()) as { urls: string[] }).urls as [string];

  const digest = { image: `data:image/png;base64,${PIXEL}` };
  const ended = [
    add("a text", await submit(server, "mock-inference", { kind: "text" })),
    add("a picture", await submit(server, "mock-inference", { prompt: "a red rose", seed: 5 })),
    add("a video", await submit(server, "mock-inference", { kind: "video" })),
    add("a text of an uploaded file", await submit(server, "digest", { image })),
    add("a text of a large input", await submit(server, "digest", { ...digest, note: NOTE })),
    add("a large text", await submit(server, "digest", { ...digest, times: 2_000 })),
    add("a model's error", await submit(server, "mock-inference", { fail: true })),
    add("a request that killed its process at every try", await submit(server, "crashing", { crash: true })),
  ];
  let stopReceiver = (): void => undefined;
  if (version >= CANCEL_SINCE) {
    const blocking = await submit(server, "one-place", { sleep: 600 });
    await status(server, blocking, "PROCESSING");
    ended.push(add("what missed its start", await submit(server, "one-place", {}, { "x-start-timeout": "0.5" })));
    ended.push(add("what was cancelled while it waited", await submit(server, "one-place", {})));
    await post(server, `/v2/requests/${ended.at(-1)!}/cancel`, {});
    await status(server, ended.at(-2)!, "FAILED");
    ended.push(add("what was cancelled while it ran", blocking));
    await post(server, `/v2/requests/${blocking}/cancel`, {});
    const again = await post(server, `/v2/requests/${ended[3]!}/retry`, {});
    ended.push(add("a retry", ((await again.json()) as { request_id: string }).request_id));
    const keyed = { "idempotency-key": "order-4711", "x-result-ttl": "86400" };
    ended.push(add("a text under an idempotency key", await submit(server, "mock-inference", { kind: "text" }, keyed)));
  }
  if (version >= WEBHOOKS_SINCE) {
    const receiver = createServer((request, response) =>
      response.writeHead(request.url === "/taken" ? 204 : 410).end(),
    );
    await new Promise<void>((done) => receiver.listen(0, "127.0.0.1", done));
    stopReceiver = () => receiver.close().closeAllConnections();
    const there = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    const told = (url: string): string => `mock-inference?webhook=${encodeURIComponent(url)}`;
    ended.push(add("what was told", await submit(server, told(`${there}/taken`), { kind: "text" })));
    await delivery(server, ended.at(-1)!, /"state":"delivered"/);
    ended.push(add("what nobody wants to be told", await submit(server, told(`${there}/gone`), { fail: true })));
    await delivery(server, ended.at(-1)!, /"state":"failed"/);
    ended.push(add("what could not be told yet", await submit(server, told(`http://127.0.0.1:${HOOK_PORT}/hook`), {})));
    await delivery(server, ended.at(-1)!, /"tries":[1-9]/);
  }
  for (const id of ended) await server.result(id);

  // What is left unfinished.
  const crashed = add("what comes back after two crashes", await submit(server, "crashing", { crash: true }));
  await row(directory, crashed, (attempts, current) => attempts === 2 && current === 0);
  const running = add("what ran", await submit(server, "one-place", { kind: "text", sleep: 1.5 }));
  await status(server, running, "PROCESSING");
  add("what waited", await submit(server, "one-place", { kind: "text" }));
  add("a picture that waited", await submit(server, "one-place", { prompt: "a white rose", seed: 6 }));
  if (version >= CANCEL_SINCE) {
    const options = {
      "x-priority": "low",
      "x-run-timeout": "60",
      "x-keep-until-read": "true",
      "idempotency-key": "order-4712",
    };
    add("what waited, with options", await submit(server, "one-place", { kind: "text" }, options));
  }
  if (version >= WEBHOOKS_SINCE) {
    const url = encodeURIComponent(`http://127.0.0.1:${HOOK_PORT}/hook`);
    add(
      "what waited, to be told",
      await submit(server, `one-place?webhook=${url}&webhook_body=thin`, { kind: "text" }),
    );
  }

  const known: KnownRequest[] = [];
  for (const request of requests)
    known.push({ ...request, ...(ended.includes(request.id) && (await answerOf(server, request.id))) });
  const asset = await file(server, image);
  await status(server, running, "PROCESSING");
  if (left === "killed") await server.kill();
  else await server[Symbol.asyncDispose]();
  stopReceiver();
  return {
    left,
    schema: version,
    keysSchema: versionOf(join(directory, "keys.db")),
    commit,
    leftAt: Date.now(),
    keys,
    asset,
    requests: known,
  };
}

async function moduleOf<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(checkout, path)).href)) as T;
}

function inferq(args: readonly string[], directory: string): string {
  const cli = join(checkout, "packages/server/src/cli.ts");
  const where = ["--data-dir", directory, "--config", CONFIG];
  return execFileSync(process.execPath, ["--conditions=@inferq/source", cli, ...args, ...where], {
    encoding: "utf8",
    cwd: checkout,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

function key(directory: string, name: string, args: readonly string[]): string {
  return inferq(["keys", "create", "--name", name, ...args], directory).trim();
}

function versionOf(path: string): number {
  using db = new DatabaseSync(path, { readOnly: true });
  return (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

function post(server: RealServer, path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return server.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function submit(
  server: RealServer,
  model: string,
  input: object,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await post(server, `/v2/${model}`, input, headers);
  const body = await answer.text();
  if (answer.status !== 200) throw new Error(`${model} answered ${answer.status}: ${body}`);
  return (JSON.parse(body) as { request_id: string }).request_id;
}

/** Asks until `path` answers with something that matches. */
async function ask(server: RealServer, path: string, pattern: RegExp): Promise<void> {
  while (!pattern.test(await (await server.fetch(path)).text()))
    await new Promise((resolve) => setTimeout(resolve, 20));
}

function status(server: RealServer, id: string, wanted: string): Promise<void> {
  return ask(server, `/v2/requests/${id}/status`, new RegExp(`"${wanted}"`));
}

function delivery(server: RealServer, id: string, pattern: RegExp): Promise<void> {
  return ask(server, `/v2/webhooks/deliveries/${id}`, pattern);
}

/** Looks into the file until the request's row is as wanted. */
async function row(
  directory: string,
  id: string,
  wanted: (attempts: number, status: number) => boolean,
): Promise<void> {
  using db = new DatabaseSync(join(directory, "inferq.db"), { readOnly: true });
  const find = db.prepare("SELECT attempts, status FROM requests WHERE id = ?");
  const bytes = Buffer.from(id.replaceAll("-", ""), "hex");
  for (;;) {
    const found = find.get(bytes) as { attempts: number; status: number } | undefined;
    if (found !== undefined && wanted(found.attempts, found.status)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function answerOf(server: RealServer, id: string): Promise<Pick<KnownRequest, "answer" | "files">> {
  const answer = await server.fetch(`/v2/requests/${id}`);
  const body = await answer.text();
  const urls = body.match(/http:\/\/127\.0\.0\.1:8787\/files\/[^"]+/g) ?? [];
  const files: { path: string; sha256: string }[] = [];
  for (const url of urls) files.push(await file(server, url));
  return { answer: { status: answer.status, code: answer.headers.get("x-error-code"), body: shortened(body) }, files };
}

/** A large text by its digest. */
function shortened(body: string): string {
  return body.length < 10_000 ? body : `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

async function file(server: RealServer, url: string): Promise<{ path: string; sha256: string }> {
  const path = new URL(url).pathname;
  const bytes = await (await fetch(server.base + path)).bytes();
  return { path, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Every file of `directory`, compressed, under `target`. Sockets are no files, and go with their server. Answers how large they are. */
function keep(directory: string, target: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const to = `${join(target, path.slice(directory.length))}.gz`;
    const compressed = gzipSync(readFileSync(path), { level: 9 });
    bytes += compressed.length;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, compressed);
  }
  return bytes;
}

/** docs/guide/events.md on a real server, with the clients that it shows; and what streams outlive. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { KEY, type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/events.md";
const TEXT = "The quick brown fox jumps over the lazy dog.";

let server: RealServer;
const clients: ChildProcess[] = [];
beforeAll(async () => {
  server = await realServer({ config: "test/no-grace.config.ts" });
  await server.ready();
});
afterAll(async () => {
  for (const client of clients) client.kill();
  await server[Symbol.asyncDispose]();
});

/** `event: <type>` with the names of its data, once each: `progress: fraction time`. */
function shapes(stream: string): Set<string> {
  const found = stream.matchAll(/^event: (\w+)\nid: \S+\ndata: (.*)$/gm);
  return new Set(
    [...found].map(([, event, data]) => `${event}: ${Object.keys(JSON.parse(data!) as object).join(" ")}`),
  );
}

/** Submits, and answers the URL in the Link header: what a server hands to its page. */
async function submitted(input: object, at: RealServer = server): Promise<{ id: string; url: string }> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(input) };
  const answer = await at.fetch("/v2/mock-inference", init);
  const { request_id: id } = (await answer.json()) as { request_id: string };
  return { id, url: /<([^>]*)>; rel="events"/.exec(answer.headers.get("link")!)![1]! };
}

/** Node's own EventSource in a process of its own, with the page's program; prints each state, and the text at the end. */
function eventSource(url: string): AsyncIterableIterator<string> {
  const program = `
    const url = process.argv[1];
    const alive = setInterval(() => {}, 1_000); // while it waits to come again, nothing else does
    ${blockWith(PAGE, "new EventSource(url)", "js")}
    events.addEventListener("status", ({ data }) => {
      console.log(JSON.parse(data).status);
      if (events.readyState !== EventSource.CLOSED) return;
      console.log(text);
      clearInterval(alive);
    });`;
  const child = spawn(process.execPath, ["--experimental-eventsource", "-e", program, url], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  clients.push(child);
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

test("the page's curl prints a stream of the form that stands below it", async ({ skip }) => {
  const reason = missing("bash", "curl", "sed");
  skip(reason !== undefined, reason);
  const printed = await paste(blockWith(PAGE, "curl -sN", "sh"), server, ROOT);
  const shown = shapes(blockWith(PAGE, "retry:", "text"));
  expect(shown.size).toBe(4);
  expect([...shapes(printed)].filter((shape) => !/estimated|QUEUED|position/.test(shape))).toEqual(
    expect.arrayContaining([...shown]),
  );
  expect(printed).toMatch(/"status":"COMPLETED"[^\n]*\n\n$/);
});

test("an EventSource with the URL of the Link follows to the outcome, and has the whole text", async () => {
  const { url } = await submitted({ kind: "text", sleep: 1 });
  const lines: string[] = [];
  for await (const line of eventSource(url)) lines.push(line);
  expect(lines.filter((line) => line !== "QUEUED")).toEqual(["PROCESSING", "COMPLETED", TEXT]);
});

test("the page's Python program prints every event up to the outcome", async ({ skip }) => {
  const installed = spawnSync("python3", ["-c", "import requests"]).status === 0;
  skip(!installed, "python3 with requests is not installed (Debian: python3-requests)");
  const program = blockWith(PAGE, "iter_lines", "python");
  const printed = await paste(`python3 - <<'END'\n${program}\nEND\n`, server, ROOT);
  expect(printed).toMatch(/^status \{'status': '(?:QUEUED|PROCESSING)'/);
  expect(printed).toMatch(/^output \{'at': 0, 'text': 'The '\}$/m);
  expect(printed).toMatch(/\nstatus \{'status': 'COMPLETED'.*\n$/);
});

test("an EventSource comes back after kill -9, and is told the outcome by the next server", async () => {
  using directory = temporaryDirectory();
  const config = "test/no-grace.config.ts";
  const first = await realServer({ config, directory: directory.path });
  const { id, url } = await submitted({ kind: "text", sleep: 600 }, first);
  const lines = eventSource(url);
  const until = async (status: string): Promise<void> => {
    for (let line = ""; line !== status;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`The stream ended before ${status}.`);
      line = value;
    }
  };
  await until("PROCESSING");
  await first.kill();
  await using second = await realServer({ config, directory: directory.path, env: { PORT: new URL(first.base).port } });
  await second.ready();
  await until("PROCESSING");
  await second.fetch(`/v2/requests/${id}/cancel`, { method: "POST" });
  await until("FAILED");
  while ((await lines.next()).done !== true); // it knows the outcome and asks no more
}, 60_000);

/** Streams over raw sockets, each told a state. */
async function streams(count: number, base: string, id: string): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(Number(new URL(base).port), "127.0.0.1"));
  await Promise.all(
    sockets.map(async (socket) => {
      socket.write(`GET /v2/requests/${id}/events HTTP/1.1\r\nHost: x\r\nx-api-key: ${KEY}\r\n\r\n`);
      let told = "";
      while (!told.includes('"PROCESSING"')) told += String((await once(socket, "data"))[0]);
    }),
  );
  return sockets;
}

test("a thousand streams are cut at once: the work is not disturbed, and nothing is left of them", async () => {
  using directory = temporaryDirectory();
  const [config, go] = [join(directory.path, "config.mjs"), join(directory.path, "go")];
  writeFileSync(config, `export default { models: ["./patient.mjs"], stopGraceSeconds: 0 };`);
  writeFileSync(
    join(directory.path, "patient.mjs"),
    `import { existsSync } from "node:fs";
    import { setTimeout as pause } from "node:timers/promises";
    export default { name: "patient", output: "text", input: { type: "object" }, async run(_, { partial }) {
      while (!existsSync(${JSON.stringify(go)})) await pause(10);
      partial("well");
      return "well";
    } };`,
  );
  await using own = await realServer({ config });
  await own.ready();
  const { request_id: id } = await own.submit("patient", {});
  const [first] = await streams(1, own.base, id);
  const descriptors = (): number => readdirSync(`/proc/${own.process.pid}/fd`).length;
  const before = descriptors();
  const many = await streams(1_000, own.base, id);
  expect(descriptors()).toBeGreaterThanOrEqual(before + 1_000);
  for (const socket of many) socket.destroy();
  while (descriptors() > before + 10) await own.fetch("/healthz");

  writeFileSync(go, "");
  let told = "";
  for await (const piece of first!.setEncoding("utf8")) {
    told += String(piece);
    if (told.includes('"COMPLETED"')) break;
  }
  expect(told).toContain('{"at":0,"text":"well"}');
  expect(await own.result(id)).toMatchObject({ status: "COMPLETED", output: "well" });
}, 60_000);

test("a server that is stopped ends its streams at once", async () => {
  await using own = await realServer({ config: "test/no-grace.config.ts" });
  const { url } = await submitted({ kind: "text", sleep: 600 }, own);
  const stream = await fetch(url);
  own.process.kill("SIGTERM");
  const text = await stream.text(); // it ends as a stream does, not as one that broke
  expect(text).toMatch(/"status":"(?:QUEUED|PROCESSING)"/);
  expect(text).not.toMatch(/"status":"FAILED"/);
});

/** docs/guide/dead-letters.md on a real server: what its readers paste, operators and clients. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, afterAll, beforeAll, expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/dead-letters.md";
const CONFIG = "test/dead-letters.config.ts";

type Body = Record<string, unknown>;

let server: RealServer;
beforeAll(async () => {
  server = await realServer({ config: CONFIG });
}, 60_000);
afterAll(() => server[Symbol.asyncDispose]());

/** What the page's command with `what` prints; without npm, which takes a second for each command. */
async function pasted(what: string, id: string, { skip }: TestContext): Promise<string> {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  const command = `${process.execPath} --conditions=@inferq/source packages/server/src/cli.ts`;
  const block = blockWith(PAGE, what, "sh").replaceAll("npm run inferq --", command).replaceAll("<id>", id);
  return await paste(block, server, ROOT, { INFERQ_DATA_DIR: server.directory });
}

/** Prints of the command line on this server's directory. */
function run(...args: string[]): ReturnType<typeof inferq> {
  return inferq(["dead-letters", ...args, "--data-dir", server.directory, "--config", CONFIG]);
}

async function dead(): Promise<string> {
  const { request_id: id } = await server.submit("mock-inference", { unwilling: true });
  expect(await server.result(id)).toMatchObject({ status: "FAILED" });
  return id;
}

function shown(what: string): Body {
  return JSON.parse(blockWith(PAGE, what, "json")) as Body;
}

test("the operator lists them, looks at one, and replays it; told in the log and counted", async (context) => {
  const id = await dead();
  await server.said(/"code":"retries_exhausted","msg":"request used up its attempts: a dead letter"/);

  const table = await pasted("dead-letters\n", id, context);
  const [header] = table.split("\n");
  expect(header!.split(/ +/)).toEqual(["REQUEST", "FAILED", "WHY", "ATTEMPTS", "REPLAYED", "OWNER", "MODEL"]);
  expect(table).toMatch(new RegExp(`^${id}  \\S+Z  retries_exhausted +3 +no +test +mock-inference$`, "m"));

  const one = JSON.parse(await pasted("show <id>", id, context)) as Body;
  expect(one).toMatchObject({ request_id: id, owner: "test", attempts: 3, crashes: 0, input: { unwilling: true } });
  expect((one["history"] as Body[]).map((attempt) => attempt["error_code"])).toEqual(
    Array(3).fill("retries_exhausted"),
  );

  const printed = await pasted("replay --all", id, context);
  const [first, ...more] = printed.trim().split("\n");
  const [replayed, request] = first!.split(" ");
  expect(replayed).toBe(id);
  expect(await server.result(request!)).toMatchObject({ status: "FAILED" });
  // The block replays it by its id, and then all that are left: its replay, where that has died meanwhile.
  for (const line of more) expect(line).toMatch(/^\S{36} \S{36}$/);
  expect((await run("show", id)).stdout).toContain('"replayed": true');
}, 60_000);

test("--all runs each once, and none that was run again", async () => {
  await run("replay", "--all");
  const ids = [await dead(), await dead(), await dead()];
  const retried = await server.fetch(`/v2/requests/${ids[0]}/retry`, { method: "POST" });
  expect(retried.status).toBe(200);
  const open = JSON.parse((await run("--json")).stdout) as Body[];
  const left = open.filter((one) => one["replayed"] === false).map((one) => one["request_id"]);
  expect(left).toEqual(expect.arrayContaining(ids.slice(1)));
  expect(left).not.toContain(ids[0]);

  const { code, stdout, stderr } = await run("replay", "--all", "--model", "mock-inference");
  expect(code).toBe(0);
  const replayed = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(" ")[0]);
  expect(replayed).toEqual(expect.arrayContaining(ids.slice(1)));
  expect(replayed).not.toContain(ids[0]);
  expect(stderr).toContain(`${replayed.length} replayed.`);
  expect(await run("replay", "--all", "--model", "no-such-model")).toMatchObject({ code: 0, stdout: "" });
}, 60_000);

test("--all goes past those of a model that is served no more, and tells of them", async () => {
  using directory = temporaryDirectory();
  const config = join(directory.path, "config.mjs");
  const serve = (...names: string[]): void => {
    const models = names.map((name) => ({ module: join(ROOT, "test/models/unwilling.ts"), name }));
    writeFileSync(config, `export default ${JSON.stringify({ models, dataDir: "./data" })};`);
  };
  const data = join(directory.path, "data");
  const inputs = (many: number): object[] => Array.from({ length: many }, () => ({ unwilling: true }));
  let kept: string;
  serve("kept", "gone");
  {
    await using before = await realServer({ config, directory: data });
    const died = async (model: string, many: number): Promise<string[]> => {
      const submitted = await Promise.all(inputs(many).map((input) => before.submit(model, input)));
      const ids = submitted.map(({ request_id: id }) => id);
      for (const id of ids) expect(await before.result(id)).toMatchObject({ status: "FAILED" });
      return ids;
    };
    kept = (await died("kept", 1))[0]!;
    await died("gone", 21); // more than are replayed at once, and newer
    const exited = once(before.process, "exit");
    before.process.kill("SIGTERM");
    await exited;
  }
  serve("kept");
  await using _after = await realServer({ config, directory: data });
  const { code, stdout, stderr } = await inferq(["dead-letters", "replay", "--all", "--config", config]);
  expect(stdout).toMatch(new RegExp(`^${kept} \\S{36}\n$`));
  expect(stderr).toMatch(/^1 replayed\.\nNot replayed: \S{36} \(and 20 more\)\. Model gone not found\./);
  expect(code).toBe(1);
}, 60_000);

test("a client lists its own, looks at one, and replays it once under one key", async (context) => {
  const id = await dead();
  const listed = JSON.parse(await pasted("replayed=false", id, context)) as { dead_letters: Body[] };
  const page = shown("dead_letters") as unknown as typeof listed;
  expect(Object.keys(listed.dead_letters[0]!)).toEqual(Object.keys(page.dead_letters[0]!));
  expect(listed.dead_letters.map((one) => one["request_id"])).toContain(id);

  const whole = JSON.parse(await pasted("dead-letters/<id>\n", id, context)) as Body;
  expect(whole).toMatchObject({ request_id: id, input: { unwilling: true }, replayed: false });
  expect(whole["history"]).toHaveLength(3);

  const first = JSON.parse(await pasted("<id>/replay", id, context)) as Body;
  const second = JSON.parse(await pasted("<id>/replay", id, context)) as Body;
  expect(second).toEqual(first);
  expect(first).toMatchObject({ status: "QUEUED", retry_of: id });
}, 60_000);

test("what is none, an id that is none, and a directory without a server get a sentence", async () => {
  const unknown = "01970000-0000-7000-8000-000000000000";
  using directory = temporaryDirectory();
  const [none, refused, noId, nothing, both, away] = await Promise.all([
    run("show", unknown),
    run("replay", unknown),
    run("show", "7"),
    run("replay"),
    run("replay", "--all", unknown),
    inferq(["dead-letters", "--data-dir", directory.path, "--config", CONFIG]),
  ]);
  const sentence = `There is no dead letter ${unknown}. A request that used up its attempts is one, until it expires.`;
  expect([none.code, none.stderr]).toEqual([1, `${sentence}\n`]);
  expect([refused.code, refused.stderr]).toEqual([1, `0 replayed.\nNot replayed: ${unknown}. ${sentence}\n`]);
  expect([noId.code, noId.stderr]).toEqual([2, 'Expected the id of a request, got "7".\n']);
  expect([nothing.code, both.code]).toEqual([2, 2]);
  expect([away.code, away.stderr]).toMatchObject([1, expect.stringContaining(`No server uses ${directory.path}.`)]);
}, 60_000);

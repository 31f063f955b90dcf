/** Keys are changed while a server runs: at once, by several at a time, and also when it was killed. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ended, inferq } from "./command-line.ts";
import { type RealServer, realServer } from "./real-server.ts";

const CONFIG = "test/no-grace.config.ts";

let server: RealServer;
beforeAll(async () => {
  server = await realServer({ config: CONFIG });
});
afterAll(() => server[Symbol.asyncDispose]());

async function keys(...words: readonly string[]): Promise<Ended> {
  return await inferq(["keys", ...words, "--data-dir", server.directory, "--config", CONFIG]);
}

async function made(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await keys(...words);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

async function get(key: string, path = "/v2/models"): Promise<Response> {
  return await fetch(server.base + path, { headers: { "x-api-key": key } });
}

test("made, used, rotated and revoked while its owner polls: each counts at once, and is told in the log", async () => {
  const first = await made("create", "--name", "ci", "--models", "mock-inference", "--expires", "30d");
  const submit = await fetch(`${server.base}/v2/mock-inference`, {
    method: "POST",
    headers: { "x-api-key": first, "content-type": "application/json" },
    body: `{"sleep":60}`,
  });
  const { request_id: id } = (await submit.json()) as { request_id: string };
  const second = await made("rotate", "ci");
  expect((await get(first, `/v2/requests/${id}`)).status).toBe(401);
  expect((await get(second, `/v2/requests/${id}`)).status).toBe(200);

  const waits = get(second, `/v2/requests/${id}?wait=60`);
  expect(await keys("revoke", "ci")).toMatchObject({ code: 0, stdout: "" });
  expect((await get(second, `/v2/requests/${id}`)).status).toBe(401);
  expect((await waits).status).toBe(401); // or its client would have waited for the whole minute

  await server.said(/"audit":"key_refused","why":"revoked"/);
  for (const audit of ["key_created", "key_used_first", "key_rotated", "key_revoked"]) {
    expect(server.output()).toMatch(new RegExp(`"audit":"${audit}","key":"ci","owner":"ci",`));
  }
  expect(server.output()).not.toContain(first);
  expect(server.output()).not.toContain(second);
});

test("many command lines at once: each key is made once, and one name goes to one of them", async () => {
  const names = ["a", "b", "same", "same"];
  const ended = await Promise.all(names.map((name) => keys("create", "--name", name)));
  expect(ended.filter(({ code }) => code !== 0)).toMatchObject([{ code: 1 }]);
  for (const { code, stdout } of ended) if (code === 0) expect((await get(stdout.trim())).status).toBe(200);
  const { stdout } = await keys("list", "--json");
  const made = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
  expect(made.filter((name) => names.includes(name)).sort()).toEqual(["a", "b", "same"]);
});

test("a second server that is refused leaves the first one's socket alone", async () => {
  const second = realServer({ config: CONFIG, directory: server.directory });
  await expect(second).rejects.toThrow("is in use by another inferq server");
  expect((await get(await made("create", "--name", "still"))).status).toBe(200);
});

test("a server that cannot be reached through its socket sees what is changed in the file", async () => {
  rmSync(join(server.directory, "control.sock"));
  const key = await made("create", "--name", "unseen");
  while ((await get(key)).status !== 200); // within a second
  await keys("revoke", "unseen");
  while ((await get(key)).status !== 401);
  await server.said(/"audit":"key_revoked","key":"unseen","owner":"unseen","by":"cli"/);
});

test("what cannot be is one sentence and exit code 2", async () => {
  const scope = await keys("create", "--scopes", "root");
  expect(scope).toEqual({
    code: 2,
    stdout: "",
    stderr: `--scopes must be of submit, read, admin, separated by commas, got "root".\n`,
  });
  const names = await keys("revoke", "one", "two");
  expect(names).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^keys revoke takes one name, got 2\./) as string,
  });
});

test("beside a killed server the command line works alone, and the next server knows", async () => {
  const before = await made("create", "--name", "before");
  await server.kill();
  const alone = await made("create", "--name", "alone");
  expect(await keys("revoke", "before")).toMatchObject({ code: 0 });
  await using again = await realServer({ config: CONFIG, directory: server.directory });
  const status = async (key: string): Promise<number> =>
    (await fetch(`${again.base}/v2/models`, { headers: { "x-api-key": key } })).status;
  expect([await status(before), await status(alone)]).toEqual([401, 200]);
  await again.said(/"audit":"key_revoked","key":"before","owner":"before","by":"cli"/);
  // Its socket has taken the dead one's place.
  const { stdout } = await keys("create", "--name", "beside");
  expect(await status(stdout.trim())).toBe(200);
});

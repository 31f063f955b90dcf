/** docs/guide/keys.md: its commands, pasted beside a server that runs, and where none does. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/keys.md";
const SECRET = /^sg_[0-9a-f]{32}$/gm;

let server: RealServer;
beforeAll(async () => {
  server = await realServer({ config: "test/no-grace.config.ts" });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Pastes the page's block, without npm, which takes a second for each command. */
async function pasted(directory: string): Promise<{ made: string[]; output: string }> {
  const block = blockWith(PAGE, "keys rotate", "sh").replaceAll(
    "npm run inferq --",
    `${process.execPath} --conditions=@inferq/source packages/server/src/cli.ts`,
  );
  const output = await paste(block, server, ROOT, { INFERQ_DATA_DIR: directory });
  return { made: output.match(SECRET) ?? [], output };
}

test("beside a server: keys are made, rotated with an overlap, revoked, and listed", async ({ skip }) => {
  const reason = missing("bash");
  skip(reason !== undefined, reason);
  const { made, output } = await pasted(server.directory);
  const statuses = made.map(
    async (key) => (await fetch(`${server.base}/v2/models`, { headers: { "x-api-key": key } })).status,
  );
  expect(await Promise.all(statuses)).toEqual([401, 200, 200]);
  expect(output).toMatch(/^ci +ci +submit,read +emoji-scene,ocr .* revoked \d{4}-\d\d-\d\d$/m);
  expect(output).toMatch(/^app +app +submit,read +all +20 +100 .* good; the one before too until /m);
  await server.said(/"audit":"key_rotated","key":"app","owner":"app","by":"socket"/);
});

test("without a server: the same", async ({ skip }) => {
  const reason = missing("bash");
  skip(reason !== undefined, reason);
  const { made, output } = await pasted(`${server.directory}/another`);
  expect(made).toHaveLength(3);
  expect(output).toMatch(/^ci .* revoked \d{4}-\d\d-\d\d$/m);
});

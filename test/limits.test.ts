/** docs/guide/limits.md on real servers, and limits that hold in one with a queue on disk. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type TestContext } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { realServer } from "./real-server.ts";

/** A config outside the repository names it so. */
const MOCK = join(ROOT, "packages/server/src/model/mock-inference/model.ts");
const PAGE = "docs/guide/limits.md";

/** Without what the second that it was asked in makes of it. */
function shape(text: string): string {
  return text
    .trim()
    .replaceAll("\r", "")
    .replaceAll(/(retry-after: |;t=|in )\d+/gi, "$1N")
    .toLowerCase();
}

test("the page's config, its commands and what they print", async ({ skip }: TestContext) => {
  const reason = missing("bash", "curl", "grep");
  skip(reason !== undefined, reason);
  using directory = temporaryDirectory();
  const config = join(directory.path, "config.mjs");
  const models = blockWith(PAGE, "defineConfig", "ts")
    .replace(/^import.*\n/, "")
    .replace("inferq/mock-inference", MOCK);
  writeFileSync(config, `const defineConfig = (config) => config;\n${models}`);
  await using server = await realServer({ config });
  const printed = await paste(blockWith(PAGE, "for i in", "sh"), server, ROOT);
  const told = shape(blockWith(PAGE, "rate_limited", "http"));
  expect(shape(printed).split("\n").toSorted()).toEqual(told.split("\n").toSorted());
});

test("two hundred at once make five; killed and started again, the server still counts them", async () => {
  using directory = temporaryDirectory();
  const options = { config: "test/limits.config.ts", directory: directory.path };
  const submit = async (server: Awaited<ReturnType<typeof realServer>>): Promise<number> => {
    const headers = { "content-type": "application/json" };
    const answer = await server.fetch("/v2/mock-inference", { method: "POST", headers, body: `{"sleep": 600}` });
    await answer.arrayBuffer();
    return answer.status;
  };
  {
    await using server = await realServer(options);
    const answers = await Promise.all(Array.from({ length: 200 }, () => submit(server)));
    expect(answers.filter((status) => status === 200)).toHaveLength(5);
    expect(answers.filter((status) => status === 429)).toHaveLength(195);
    await server.kill();
  }
  await using server = await realServer(options);
  expect(await submit(server)).toBe(429);
  const { requests } = (await (await server.fetch("/v2/requests")).json()) as { requests: { request_id: string }[] };
  expect(requests).toHaveLength(5);
  await server.fetch(`/v2/requests/${requests[0]!.request_id}/cancel`, { method: "POST" });
  expect(await submit(server)).toBe(200);
});

test("a real disk with less room than it should keep takes nothing new", async () => {
  using directory = temporaryDirectory();
  const config = join(directory.path, "config.mjs");
  writeFileSync(config, `export default { models: ["${MOCK}"], diskReserveBytes: ${2 ** 53 - 1} };`);
  await using server = await realServer({ config });
  const headers = { "content-type": "application/json" };
  const answer = await server.fetch("/v2/mock-inference", { method: "POST", headers, body: "{}" });
  expect([answer.status, answer.headers.get("x-error-code"), answer.headers.get("retry-after")]).toEqual([
    503,
    "disk_full",
    "5",
  ]);
  expect((await server.fetch("/v2/requests")).status).toBe(200);
  await server.said("the disk is full");
});

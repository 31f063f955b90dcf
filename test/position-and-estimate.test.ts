/** docs/guide/position.md on a real server: what its commands print while others are before a request. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type TestContext } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/position.md";

/** `name: value` lines as an object, with figures as N. */
function shape(headers: string): Record<string, string> {
  const lines = headers.trim().split(/\r?\n/);
  return Object.fromEntries(lines.map((line) => line.toLowerCase().replaceAll(/\d+/g, "N").split(": ", 2)));
}

async function told(server: RealServer, id: string): Promise<Headers> {
  return (await server.fetch(`/v2/requests/${id}/status`)).headers;
}

test("the third of three requests hears its place, why it waits, and how long", async ({ skip }: TestContext) => {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  await using server = await realServer({ config: "test/one-at-a-time.config.ts" });
  await server.ready();
  for (let seen = 0; seen < 5; seen++) {
    await server.result((await server.submit("mock-inference", { kind: "text" })).request_id);
  }
  const busy = (await server.submit("mock-inference", { sleep: 600 })).request_id;
  while ((await (await server.fetch(`/v2/requests/${busy}/status`)).text()).includes("QUEUED"));
  expect((await told(server, busy)).get("x-estimated-seconds")).toMatch(/^\d+-\d+$/);

  const printed = await paste(blockWith(PAGE, "for i in", "sh"), server, ROOT);
  expect(shape(printed)).toEqual(shape(blockWith(PAGE, "x-queue-position", "http")));
  expect(printed.toLowerCase()).toContain("x-queue-position: 3");
});

test("a request hears that its model is loading, and runs when that is done", async () => {
  using directory = temporaryDirectory();
  const [config, go] = [join(directory.path, "config.mjs"), join(directory.path, "go")];
  writeFileSync(config, `export default { models: ["./slow.mjs"] };`);
  const setup = `setup: async () => { while (!existsSync(${JSON.stringify(go)})) await pause(10); }`;
  writeFileSync(
    join(directory.path, "slow.mjs"),
    `import { existsSync } from "node:fs";
    import { setTimeout as pause } from "node:timers/promises";
    export default { name: "slow", output: "text", input: { type: "object" }, ${setup}, run: () => "well" };`,
  );
  await using server = await realServer({ config });
  const { request_id: id } = await server.submit("slow", {});
  const headers = await told(server, id);
  expect(headers.get("x-queue-position")).toBe("1");
  expect(headers.get("x-wait-reason")).toBe("cold_start");
  writeFileSync(go, "");
  expect(await server.result(id)).toMatchObject({ status: "COMPLETED", output: "well" });
});

/** A stranger writes a model as README and the guide show it, beside a config as they show it, and calls it. */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

/** A project directory as a clone is one: the two files, and the packages beside them. */
async function serverOf(directory: string, modelFile: string, model: string, config: string): Promise<RealServer> {
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"), "junction");
  writeFileSync(join(directory, modelFile), model);
  writeFileSync(join(directory, "inferq.config.ts"), config);
  return realServer({ config: relative(ROOT, join(directory, "inferq.config.ts")) });
}

async function shout(server: RealServer, input: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await server.fetch("/v1/shout", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function expectItShouts(server: RealServer): Promise<void> {
  expect(await shout(server, { text: "hear, hear" })).toMatchObject({
    status: 200,
    body: { status: "COMPLETED", output: "HEAR, HEAR" },
  });
  const refused = await shout(server, { txt: "hear" });
  expect(refused.status).toBe(400);
  expect(refused.body["error"]).toMatch(/text/);
}

test("README's own model", async () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const [, file] = /in one file, say `([^`]+)`/.exec(readme)!;
  const [, models] = /`(models: \[[^`]+)`/.exec(readme)!;
  using directory = temporaryDirectory();
  const config = `import { defineConfig } from "inferq";\nexport default defineConfig({ ${models} });`;
  await using server = await serverOf(directory.path, file!, blockWith("README.md", "defineModel", "ts"), config);
  await expectItShouts(server);
});

test("the guide's own model", async () => {
  const guide = "docs/guide/getting-started.md";
  const model = blockWith(guide, '"shout"', "ts");
  const config = blockWith(guide, "defineConfig", "ts");
  const [, file] = /"\.\/([^"]+)"/.exec(config)!;
  expect(readFileSync(join(ROOT, guide), "utf8")).toContain(`\`${file}\`, beside \`inferq.config.ts\`:`);
  using directory = temporaryDirectory();
  await using server = await serverOf(directory.path, file!, model, config);
  await expectItShouts(server);
});

test("the guide's model that tells how far it is: its text is read while it is made", async () => {
  const model = blockWith("docs/guide/getting-started.md", '"slow-shout"', "ts");
  const config = `import { defineConfig } from "inferq";\nexport default defineConfig({ models: ["./slow.ts"] });`;
  using directory = temporaryDirectory();
  await using server = await serverOf(directory.path, "slow.ts", model, config);
  const whole = "hear, ".repeat(1_000);
  const { request_id: id } = await server.submit("slow-shout", { text: whole });
  const seen: string[] = [];
  while (seen.length < 3) {
    const body = (await (await server.fetch(`/v2/requests/${id}?partial=1`)).json()) as Record<string, unknown>;
    const output = body["output"] as string | undefined;
    if (!output || output === seen.at(-1)) continue;
    expect(body).toMatchObject({ status: "PROCESSING", partial: true });
    expect(output.startsWith(seen.at(-1) ?? "HEAR, ")).toBe(true);
    seen.push(output);
  }
  expect(whole.toUpperCase().startsWith(seen.at(-1)!)).toBe(true);
  const running = (await (await server.fetch(`/v2/requests/${id}`)).json()) as Record<string, unknown>;
  expect(running).toMatchObject({ status: "PROCESSING" });
  expect(running).not.toHaveProperty("output");
  await server.fetch(`/v2/requests/${id}/cancel`, { method: "POST" });
  expect(await server.result(id)).not.toHaveProperty("output");
});

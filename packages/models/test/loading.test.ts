import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** Runs a script in a fresh process, as a child that serves a model is one. */
function node(script: string): Promise<{ stdout: string; stderr: string }> {
  const flags = ["--conditions=@inferq/source", "--input-type=module", "--eval", script];
  return promisify(execFile)(process.execPath, flags, { cwd: PACKAGE });
}

test("importing a model for its schema loads no heavy library", async () => {
  const { stdout } = await node(`
    for (const name of ["emoji-scene", "text-summary", "ocr"]) await import(\`./src/\${name}/model.ts\`);
    const { createRequire } = await import("node:module");
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify(loaded.filter((path) => path.includes("node_modules"))));
  `);
  expect(JSON.parse(stdout)).toEqual([]);
});

test("a crash after the embeddings are loaded ends the process as any crash does", async () => {
  const crash = node(`
    const { loadEmbeddings } = await import("./src/lib/embeddings.ts");
    await loadEmbeddings();
    setImmediate(() => { throw new Error("the crash itself"); });
    setTimeout(() => {}, 60_000);
  `);
  await expect(crash).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("Error: the crash itself") });
});

test("a rejection nobody handles does, too", async () => {
  const crash = node(`
    const { loadEmbeddings } = await import("./src/lib/embeddings.ts");
    await loadEmbeddings();
    void Promise.reject(new Error("the rejection itself"));
    setTimeout(() => {}, 60_000);
  `);
  await expect(crash).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("the rejection itself") });
});

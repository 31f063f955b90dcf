/** docs/contract.md does what it says: its curl lines and its Python example, with only base URL, key and sample ids replaced. */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { KEY, type RealServer, realServer } from "./real-server.ts";

const run = promisify(execFile);
const DOCUMENT = readFileSync(fileURLToPath(new URL("../docs/contract.md", import.meta.url)), "utf8");
const CONFIG = "test/contract.config.ts";

type Body = Record<string, unknown>;

/** The code blocks of one language, in the document's order. */
function blocks(language: string): string[] {
  return [...DOCUMENT.matchAll(/```(\w+)\n(.*?)```/gs)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text!);
}

function replaced(text: string, server: RealServer, id = ""): string {
  return text
    .replaceAll("http://127.0.0.1:8787", server.base)
    .replaceAll("YOUR_API_KEY", KEY)
    .replaceAll("2c7f59ea-...", id);
}

async function curl(line: string, server: RealServer, id?: string): Promise<Body> {
  const { stdout } = await run("bash", ["-c", replaced(line, server, id)]);
  return JSON.parse(stdout) as Body;
}

test("the curl lines of the quick start", async ({ skip }) => {
  skip(spawnSync("curl", ["--version"]).status !== 0, "curl is not installed");
  await using server = await realServer({ config: CONFIG });
  const [submitLine, statusLine, resultLine] = blocks("bash");
  const [submitted, queued, done, image] = blocks("json").map((text) => JSON.parse(text) as Body);

  const submit = await curl(submitLine!, server);
  const id = String(submit["request_id"]);
  expect(Object.keys(submit)).toEqual(Object.keys(submitted!));
  expect(submit["status"]).toBe("QUEUED");
  expect(submit["poll_url"]).toBe(`${server.base}/v1/requests/${id}`);
  expect(submit["status_url"]).toBe(`${server.base}/v2/requests/${id}/status`);
  expect(submit["response_url"]).toBe(`${server.base}/v2/requests/${id}`);

  let status = await curl(statusLine!, server, id);
  while (status["status"] !== "COMPLETED") {
    expect(["QUEUED", "PROCESSING"]).toContain(status["status"]);
    expect(Object.keys(status)).toEqual(Object.keys(queued!));
    expect(status["metrics"]).toEqual({});
    status = await curl(statusLine!, server, id);
  }
  expect(Object.keys(status)).toEqual(expect.arrayContaining(Object.keys(done!)));
  expect(status["metrics"]).toEqual(expect.objectContaining({ inference_time: expect.any(Number) as number }));

  const result = await curl(resultLine!, server, id);
  expect(Object.keys(result)).toEqual(Object.keys(image!));
  expect(result).toMatchObject({ seed: "123", prompt: "a red rose on a wooden table, studio lighting" });
  const picture = await fetch(String(result["output"]));
  expect(picture.headers.get("content-type")).toMatch(/^image\//);
  expect((await picture.arrayBuffer()).byteLength).toBeGreaterThan(1_000);
});

test("the Python example", async ({ skip }) => {
  const installed = spawnSync("python3", ["-c", "import requests"]).status === 0;
  skip(!installed, "python3 with requests is not installed (Debian: python3-requests)");
  await using server = await realServer({ config: CONFIG });
  const [program] = blocks("python");
  const { stdout } = await run("python3", ["-c", replaced(program!, server)]);
  expect(stdout).toMatch(/^Submitted: [0-9a-f-]{36}$/m);
  expect(stdout).toMatch(new RegExp(`^Image URL: ${server.base}/files/\\S+$`, "m"));
  expect(stdout).toMatch(/^Inference time: [\d.]+s$/m);
});

/** Our own paths: models, documentation, health and figures. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ADMIN_KEY, type Gateway, send, startGateway } from "./harness.ts";

let gateway: Gateway;
let readiness: "starting" | "ready" | "stopping" = "starting";
beforeAll(async () => {
  gateway = await startGateway({}, { readiness: () => readiness });
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

test("the models, with their state and what stands in for what", async () => {
  gateway.states.set("film", { type: "failed", reason: "no weights" });
  const { models } = (await gateway.call("GET", "/v2/models")).json() as { models: Record<string, unknown>[] };
  expect(models.map(({ name, modality, state }) => [name, modality, state])).toEqual([
    ["picture", "image", "ready"],
    ["film", "video", "failed"],
    ["speech", "audio", "ready"],
    ["words", "text", "ready"],
  ]);
  expect(models[0]!["aliases"]).toEqual([
    { name: "seedream-4.5", stand_in: "A stand-in: draws, but is not that model." },
  ]);
  expect(models[1]!["reason"]).toBe("no weights");
  gateway.states.clear();
});

test("one model with its schema, by its own name and by another", async () => {
  for (const name of ["picture", "seedream-4.5"]) {
    const answer = await gateway.call("GET", `/v2/models/${name}`);
    expect(answer.json()).toMatchObject({ name: "picture", input: { required: ["prompt"] } });
  }
  expect((await gateway.call("GET", "/v2/models/nothing")).headers["x-error-code"]).toBe("unknown_model");
});

test("the OpenAPI document has every model with its schema, and refers to nothing that is not in it", async () => {
  const text = (await send(gateway.port, "GET", "/openapi.json", {})).text;
  const document = JSON.parse(text) as {
    paths: Record<string, { post: { requestBody: { content: Record<string, { schema: unknown }> } } }>;
    servers: unknown;
  };
  expect(document.servers).toEqual([{ url: gateway.base }]);
  for (const name of ["picture", "seedream-4.5"]) {
    const { schema } = document.paths[`/v2/${name}`]!.post.requestBody.content["application/json"]!;
    expect(schema).toMatchObject({ required: ["prompt"] });
  }
  for (const [, ref] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = ref!.split("/").reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], document);
    expect(found, ref).toBeDefined();
  }
});

test("whoever reaches the server under another name reads that name", async () => {
  for (const path of ["/openapi.json", "/docs"]) {
    const { text } = await send(gateway.port, "GET", path, { host: "other.example" });
    expect(text).toContain("http://other.example");
    expect(text).not.toContain(gateway.base);
    expect(text).not.toContain("base.invalid");
  }
});

test("the documented paths are the routes, in docs/reference/http.md and in the OpenAPI document", async () => {
  const page = await readFile(new URL("../../../../docs/reference/http.md", import.meta.url), "utf8");
  const onPage = [...page.matchAll(/^\| `([A-Z]+) (\/[^`]*)` \|/gm)].map(([, method, path]) => `${method} ${path}`);
  const { paths } = (await gateway.call("GET", "/openapi.json")).json() as { paths: Record<string, object> };
  const models = /^\/v([12])\/(picture|seedream-4\.5|film|speech|words)$/;
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(models, "/v$1/{model}")}`),
  );
  expect(onPage.toSorted()).toEqual([...new Set(documented)].toSorted());
  expect(onPage.toSorted()).toEqual(gateway.routes().toSorted());
});

test("the documentation page needs no script and nothing from elsewhere", async () => {
  const answer = await send(gateway.port, "GET", "/docs", {});
  expect(answer.status).toBe(200);
  expect(answer.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(answer.headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-[^']+';/);
  expect(answer.text).not.toMatch(/<script|<link|<img|src=|@import|url\(/);
  for (const shown of ["/v2/picture", "image/*: URL, data URI, base64 or file", "x-api-key: $INFERQ_KEY"]) {
    expect(answer.text).toContain(shown.replaceAll("'", "&#39;"));
  }
});

test("every curl line can be pasted: what it leaves to the reader is set at the top of the page", async () => {
  const { text } = await send(gateway.port, "GET", "/docs", {});
  const blocks = [...text.matchAll(/<pre><code>([^<]*)<\/code>/g)].map(([, code]) =>
    code!.replace(/&#(\d+);/g, (_, number: string) => String.fromCharCode(Number(number))),
  );
  const [settings = "", ...lines] = blocks;
  expect(lines.length).toBeGreaterThan(20);
  for (const line of lines) {
    expect(line).toMatch(/^curl (?:-X (?:POST|DELETE) )?"http:\/\/127\.0\.0\.1:\d+\/[^{}"]*"/);
    for (const [, name] of line.matchAll(/\$(\w+)/g)) expect(settings).toContain(`export ${name}=`);
  }
  const one = (path: string): string | undefined => lines.find((line) => line.includes(`${path}" `));
  expect(one("/v1/picture")).toMatch(/-d '\{"prompt":"[^"]+"\}' \\\n {2}-o output$/);
  expect(one("/v2/picture")).not.toContain("-o output");
});

test("alive at once, ready when the light models are, and not any more when it stops", async () => {
  const health = async (path: string): Promise<[number, string]> => {
    const answer = await send(gateway.port, "GET", path, {});
    return [answer.status, answer.text];
  };
  expect(await health("/healthz")).toEqual([200, `{"status":"ok"}`]);
  expect(await health("/readyz")).toEqual([503, `{"status":"starting"}`]);
  readiness = "ready";
  expect(await health("/readyz")).toEqual([200, `{"status":"ready"}`]);
  readiness = "stopping";
  expect(await health("/readyz")).toEqual([503, `{"status":"stopping"}`]);
  expect(await health("/healthz")).toEqual([200, `{"status":"ok"}`]);
});

test("the figures are for admins, and tell the depth of the queue and how long the oldest waits", async () => {
  expect((await gateway.call("GET", "/metrics")).headers["x-error-code"]).toBe("scope_missing");
  await gateway.submit("words", {});
  gateway.clock.advance(2_000);
  await gateway.submit("words", {});
  const { status, text, headers } = await gateway.call("GET", "/metrics", undefined, { "x-api-key": ADMIN_KEY });
  expect([status, headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  expect(text).toContain('inferq_queue_depth{model="words"} 2');
  expect(text).toContain('inferq_oldest_wait_seconds{model="words"} 2');
  expect(text).toMatch(/^inferq_disk_free_bytes \d+/m);
  expect(text).toMatch(/^process_resident_memory_bytes \d+/m);
});

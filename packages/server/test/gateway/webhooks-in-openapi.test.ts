/** The OpenAPI document tells of webhooks what is true: every body that is sent, and every answer about them, is as it says. */
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sqliteKeys } from "../../src/store/sqlite/keys.ts";
import { scratchDirectory } from "../scratch.ts";
import { type Gateway, startGateway, TestClock } from "./harness.ts";

interface Document {
  readonly paths: Record<string, { post?: { operationId: string; parameters?: { $ref: string }[] } }>;
  readonly webhooks: Record<
    string,
    { post: { requestBody: { content: Record<string, { schema: { $ref: string } }> } } }
  >;
  readonly components: { parameters: Record<string, { name: string; in: string }> };
}

const opened = new AsyncDisposableStack();
let gateway: Gateway;
let document: Document;
beforeAll(async () => {
  const clock = new TestClock();
  const { path } = opened.use(await scratchDirectory());
  const keys = opened.use(sqliteKeys(path, clock));
  gateway = opened.use(await startGateway({}, { keys, secrets: keys, clock }));
  document = (await gateway.call("GET", "/openapi.json")).json() as unknown as Document;
});
afterAll(async () => await opened.disposeAsync());

/** Why `value` is not as the schema called `name` says, with what nobody announced; null: it is. */
function faults(name: string, value: unknown): unknown {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema(document, "document");
  const validate = ajv.getSchema(`document#/components/schemas/${name}`)!;
  return validate(value) ? null : validate.errors;
}

test("every path that takes a submit names the three parameters", () => {
  const submits = Object.values(document.paths).filter(({ post }) => /^(?:submit|run)-/.test(post?.operationId ?? ""));
  expect(submits.length).toBeGreaterThan(0);
  for (const { post } of submits) {
    const named = post!.parameters!.map(({ $ref }) => document.components.parameters[$ref.split("/").at(-1)!]!);
    const inQuery = named.filter(({ in: place }) => place === "query").map(({ name }) => name);
    expect(inQuery).toEqual(expect.arrayContaining(["webhook", "webhook_events", "webhook_body"]));
  }
});

test("every body that is sent", () => {
  const { $ref } = document.webhooks["finished"]!.post.requestBody.content["application/json"]!.schema;
  const name = $ref.split("/").at(-1)!;
  const golden = new URL("../golden/", import.meta.url);
  const files = readdirSync(golden).filter((file) => file.startsWith("webhook-"));
  expect(files.length).toBeGreaterThan(8);
  for (const file of files) {
    const body: unknown = JSON.parse(readFileSync(new URL(file, golden), "utf8"));
    expect(faults(name, body), file).toBeNull();
  }
  expect(faults(name, { type: "request.started" })).not.toBeNull();
});

test("every answer about one, and the timeline of its request", async () => {
  const answer = await gateway.call("POST", "/v2/words?webhook=https://client.example/hook", {});
  const id = String(answer.json()["request_id"]);
  await gateway.complete("words", { kind: "text", text: "42", reasoning: null });
  const check = async (name: string, method: string, path: string): Promise<void> => {
    const told = await gateway.call(method, path);
    expect([path, told.status, faults(name, told.json())]).toEqual([path, 200, null]);
  };
  const all = async (): Promise<void> => {
    await check("Deliveries", "GET", "/v2/webhooks/deliveries");
    await check("Delivery", "GET", `/v2/webhooks/deliveries/${id}`);
    await check("Timeline", "GET", `/v2/requests/${id}/timeline`);
  };
  await all();
  const at = gateway.clock.now();
  const attempt = { at, tookMs: 3, status: null, error: "The receiver did not answer within 15 s." };
  await gateway.deliveries.mark(id, { type: "retry", attempt, dueAt: at + 5_000 });
  await all();
  await gateway.deliveries.mark(id, { type: "failed", attempt: { ...attempt, status: 410 } });
  await all();
  await check("ListedDelivery", "POST", `/v2/webhooks/deliveries/${id}/redeliver`);
  await check("WebhookSecret", "GET", "/v2/webhooks/secret");
  await check("WebhookSecret", "POST", "/v2/webhooks/secret/rotate");
});

/** Media and large inputs become files of the request before it is queued; the queue holds their keys. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { text as textOf } from "node:stream/consumers";
import type { Lease } from "../../src/store/store.ts";
import { type Answer, type Gateway, startGateway } from "./harness.ts";
import { PNG } from "../media/samples.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

interface Stored {
  readonly image?: { readonly $media: { readonly key: string; readonly url?: string } };
  readonly image_input?: readonly { readonly $media: { readonly key: string } }[];
  readonly steps?: number;
}

function inputOf(lease: Lease): Stored {
  return JSON.parse("json" in lease.input ? lease.input.json : "null") as Stored;
}

async function bytesOf(key: string): Promise<Buffer> {
  const stream = await gateway.blobs.get(key);
  return Buffer.concat((await stream?.toArray()) as Buffer[]);
}

test("one parameter takes a data URI, bare base64 and a URL", async () => {
  const forms = [`data:image/png;base64,${PNG.toString("base64")}`, PNG.toString("base64")];
  for (const image of forms) {
    const id = await gateway.submit("picture", { prompt: "x", image });
    const { key } = inputOf(await gateway.lease("picture")).image!.$media;
    expect(key.startsWith(`${id}/0/`)).toBe(true);
    expect((await bytesOf(key)).equals(PNG)).toBe(true);
  }
  await gateway.submit("picture", { prompt: "x", image: "https://example.com/photo.png" });
  expect(inputOf(await gateway.lease("picture")).image).toEqual({ $media: { url: "https://example.com/photo.png" } });
});

test("a form's files are media, its texts are coerced, and repeated fields are lists", async () => {
  const form = new FormData();
  form.set("prompt", "x");
  form.set("steps", "20");
  form.set("image", new Blob([PNG], { type: "image/png" }), "photo.png");
  form.append("image_input", new Blob([PNG]), "one.png");
  const encoded = new Response(form);
  const type = { "content-type": encoded.headers.get("content-type")! };
  const body = Buffer.from(await encoded.arrayBuffer());
  const answer = await gateway.call("POST", "/v2/picture", body, type);
  expect([answer.status, answer.headers.warning]).toEqual([200, undefined]);
  const input = inputOf(await gateway.lease("picture"));
  expect(input.steps).toBe(20);
  expect((await bytesOf(input.image!.$media.key)).equals(PNG)).toBe(true);
  expect(input.image_input).toHaveLength(1);
});

test("a file in a form is its text where the model takes no media", async () => {
  const send = async (fields: Readonly<Record<string, string | Blob>>): Promise<Answer> => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    const encoded = new Response(form);
    const type = { "content-type": encoded.headers.get("content-type")! };
    return await gateway.call("POST", "/v2/picture", Buffer.from(await encoded.arrayBuffer()), type);
  };
  expect((await send({ prompt: new Blob(["\uFEFFa rose, ü"]), steps: new Blob(["20"]) })).status).toBe(200);
  expect(inputOf(await gateway.lease("picture"))).toEqual({ prompt: "a rose, ü", steps: 20, seed: -1 });

  const binary = await send({ prompt: new Blob([PNG]) });
  expect(binary.status).toBe(422);
  expect(binary.json()["error"]).toBe("prompt must be text, got a file that is not text in UTF-8.");

  expect((await send({ image: new Blob([PNG]), prompt: "multipart:0" })).status).toBe(200);
  expect(inputOf(await gateway.lease("picture"))).toMatchObject({ prompt: "multipart:0" });
});

test("a form that is none", async () => {
  const type = { "content-type": "multipart/form-data; boundary=x" };
  const answer = await gateway.call("POST", "/v2/picture", "no form", type);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "malformed_multipart"]);
});

test("media that are no such thing are refused by name, and leave nothing behind", async () => {
  const answer = await gateway.call("POST", "/v2/picture", { prompt: "x", image: "not base64!" });
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([422, "invalid_input"]);
  expect(answer.json()["error"]).toMatch(/^image must be a URL, a data URI or base64, got /);
  const inside = await gateway.call("POST", "/v2/picture", { prompt: "x", image: "http://169.254.169.254/latest" });
  expect([inside.status, inside.headers["x-error-code"]]).toEqual([422, "input_blocked"]);
});

test("an input over 64 KB lies in a file beside the queue", async () => {
  const prompt = "x".repeat(70_000);
  const id = await gateway.submit("picture", { prompt });
  const { input } = await gateway.lease("picture");
  const key = "key" in input ? input.key : "";
  expect(key).toMatch(new RegExp(`^${id}/0/[0-9a-f]{32}\\.json$`));
  expect(await textOf((await gateway.blobs.get(key))!)).toBe(JSON.stringify({ prompt, seed: -1 }));
});

test("an uploaded asset can be fetched, and be the input of a request", async () => {
  const url = `data:image/png;base64,${PNG.toString("base64")}`;
  const uploaded = await gateway.call("POST", "/upload-asset", { data_urls: [url, "data:text/plain,hello"] });
  expect(uploaded.status).toBe(200);
  const { urls, file_urls, message } = uploaded.json() as { urls: string[]; file_urls: string[]; message: string };
  expect([file_urls, message]).toEqual([urls, "2 files uploaded"]);
  expect(urls[0]).toMatch(new RegExp(`^${gateway.base}/files/u-[0-9a-f-]{36}/0/[0-9a-f]{32}\\.png$`));
  expect(await (await fetch(urls[1]!)).text()).toBe("hello");

  const id = await gateway.submit("picture", { prompt: "x", image: urls[0] });
  const { key } = inputOf(await gateway.lease("picture")).image!.$media;
  expect(key.startsWith(`${id}/0/`)).toBe(true);
  expect((await bytesOf(key)).equals(PNG)).toBe(true);
});

test("a file of an expired request is refused like one that never was, deleted already or not", async () => {
  await using own = await startGateway({ resultTtlSeconds: 600 });
  const maker = await own.submit("words", {});
  const { key } = await own.artifact(maker, "output.png", "image/png", PNG);
  const submit = async (name: string): Promise<[number, string]> => {
    const answer = await own.call("POST", "/v2/picture", { prompt: "x", image: `${own.base}/files/${name}` });
    return [answer.status, answer.text];
  };
  own.clock.advance(599_999);
  expect((await submit(key))[0]).toBe(200);
  own.clock.advance(1);
  const refused = await submit(key);
  expect(refused).toEqual(await submit(key.replace(/[0-9a-f]{32}/, "0".repeat(32))));
  expect(refused[0]).toBe(422);
  expect(refused[1]).toMatch(/image names a file of this server that is not there/);
  expect(await own.blobs.head(key)).toBeDefined();
});

test("an upload of more files than the disk should bear at once is refused, and says how many it may have", async () => {
  const answer = await gateway.call("POST", "/upload-asset", { data_urls: Array<string>(101).fill("data:,x") });
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
  expect(answer.json()["error"]).toMatch(/at most 100 files, got 101/);
});

test.each([
  [{}],
  [{ data_urls: [] }],
  [{ data_urls: "data:,x" }],
  [{ data_urls: ["https://example.com/x.png"] }],
  [{ data_urls: ["data:image/png;base64,###"] }],
])("an upload of %j is refused", async (body) => {
  const answer = await gateway.call("POST", "/upload-asset", body);
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
});

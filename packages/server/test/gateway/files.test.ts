import { afterAll, beforeAll, expect, test } from "vitest";
import { type Answer, type Gateway, send, startGateway } from "./harness.ts";

let gateway: Gateway;
let id: string;
beforeAll(async () => {
  gateway = await startGateway();
  id = await gateway.submit("words", {});
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

const get = (key: string, headers: Record<string, string> = {}): Promise<Answer> =>
  send(gateway.port, "GET", `/files/${key}`, headers);

test("a file comes without a key, with its type, its length and nothing that can run", async () => {
  const file = await gateway.artifact(id, "output.png", "image/png", Buffer.from("0123456789"));
  const answer = await get(file.key);
  expect([answer.status, answer.text]).toEqual([200, "0123456789"]);
  expect(answer.headers).toMatchObject({
    "content-type": "image/png",
    "content-length": "10",
    "accept-ranges": "bytes",
    "x-content-type-options": "nosniff",
    "content-security-policy":
      "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
    "access-control-allow-origin": "*", // without it a browser shows no video that is opened directly
  });
  expect(answer.headers["content-disposition"]).toBeUndefined();
  const head = await send(gateway.port, "HEAD", `/files/${file.key}`, {});
  expect([head.status, head.headers["content-length"], head.text]).toEqual([200, "10", ""]);
});

test("SVG, HTML and what is not known are downloads", async () => {
  for (const [name, type] of [
    ["x.svg", "image/svg+xml"],
    ["x.html", "text/html"],
    ["x.bin", "application/octet-stream"],
  ] as const) {
    const file = await gateway.artifact(id, name, type, Buffer.from("<script>alert(1)</script>"));
    const { headers } = await get(file.key);
    expect([headers["content-type"], headers["content-disposition"]]).toEqual([type, "attachment"]);
  }
});

test.each([
  ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
  ["bytes=7-", 206, "789", "bytes 7-9/10"],
  ["bytes=-2", 206, "89", "bytes 8-9/10"],
  ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
  ["bytes=5-99", 206, "56789", "bytes 5-9/10"],
  ["bytes=0-0,2-2", 200, "0123456789", undefined],
  ["bytes=5-2", 200, "0123456789", undefined],
  ["lines=1-2", 200, "0123456789", undefined],
])("Range %s is %d", async (range, status, text, contentRange) => {
  const file = await gateway.artifact(id, "output.mp4", "video/mp4", Buffer.from("0123456789"));
  const answer = await get(file.key, { range });
  expect([answer.status, answer.text, answer.headers["content-range"]]).toEqual([status, text, contentRange]);
  expect(answer.headers["content-length"]).toBe(String(text.length));
});

test.each([["bytes=10-"], ["bytes=99-100"], ["bytes=-0"]])("Range %s lies outside", async (range) => {
  const file = await gateway.artifact(id, "output.mp4", "video/mp4", Buffer.from("0123456789"));
  const answer = await get(file.key, { range });
  expect([answer.status, answer.headers["content-range"]]).toEqual([416, "bytes */10"]);
  expect(answer.json()["error"]).toBe("The Range lies outside the file, which has 10 bytes.");
});

test("a file that has not changed is not sent again, and a part of another version neither", async () => {
  const file = await gateway.artifact(id, "output.png", "image/png", Buffer.from("0123456789"));
  const etag = String((await get(file.key)).headers.etag);
  const same = await get(file.key, { "if-none-match": `"x", W/${etag}` });
  expect([same.status, same.text]).toEqual([304, ""]);
  expect((await get(file.key, { range: "bytes=0-1", "if-range": etag })).status).toBe(206);
  expect((await get(file.key, { range: "bytes=0-1", "if-range": `"other"` })).status).toBe(200);
});

test("no cache keeps a file longer than the server does", async () => {
  await using own = await startGateway({ resultTtlSeconds: 600 });
  const made = await own.submit("words", {});
  const file = await own.artifact(made, "output.png", "image/png", Buffer.from("x"));
  const age = async (): Promise<unknown> =>
    (await send(own.port, "GET", `/files/${file.key}`, {})).headers["cache-control"];
  expect(await age()).toBe("private, max-age=600, immutable");
  own.clock.advance(599_500);
  expect(await age()).toBe("private, max-age=0, immutable");
  own.clock.advance(500);
  expect(await age()).toBe("no-store"); // 404: there is no such file any more
});

test("text is UTF-8, and says so", async () => {
  const file = await gateway.artifact(id, "output.txt", "text/plain", Buffer.from("Grüße"));
  expect((await get(file.key)).headers["content-type"]).toBe("text/plain; charset=utf-8");
});

test("an empty file", async () => {
  const file = await gateway.artifact(id, "output.txt", "text/plain", Buffer.alloc(0));
  const answer = await get(file.key);
  expect([answer.status, answer.headers["content-length"], answer.text]).toEqual([200, "0", ""]);
});

test("nothing but a file's whole name leads anywhere", async () => {
  const file = await gateway.artifact(id, "output.png", "image/png", Buffer.from("x"));
  for (const path of [
    "",
    id,
    `${id}/1/`,
    `${id}/1/../1/${file.key.split("/")[2]}`,
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    `${file.key}%00`,
    file.key.toUpperCase(),
    `${id}/1/${"0".repeat(32)}.png`,
  ]) {
    const answer = await get(path);
    expect([path, answer.status, typeof answer.json()["error"]]).toEqual([path, 404, "string"]);
  }
});

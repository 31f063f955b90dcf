/** A body within the size limit can still hold so many tiny values that reading it takes minutes and gigabytes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Answer, type Gateway, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ bodyLimitBytes: 4_000_000 });
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

function refusal(answer: Answer): unknown[] {
  return [answer.status, answer.headers["x-error-code"], answer.json()["error"]];
}

test.each(["{},", "[],", "1,"])("JSON of 250,000 times %s", async (tiny) => {
  const body = `{"prompt":"x","points":[${tiny.repeat(250_000)}1]}`;
  expect(refusal(await gateway.call("POST", "/v2/picture", body))).toEqual([
    400,
    "malformed_json",
    "The body is not valid JSON: it has more than 250000 values.",
  ]);
});

test("lists that are opened and never closed", async () => {
  const answer = await gateway.call("POST", "/v2/picture", `{"prompt":${"[".repeat(300_000)}`);
  expect(answer.json()["error"]).toContain("more than 250000 values");
});

test("a long text may have any number of commas, brackets and quotes", async () => {
  for (const text of ['\\",[{', `${"x".repeat(1_000)}",[{\\`, `${"x".repeat(300)}\\\\",{,[,{`]) {
    const prompt = text.repeat(2_000_000 / text.length);
    expect((await gateway.call("POST", "/v2/picture", { prompt })).status).toBe(200);
  }
});

test.each(["boundary=x", 'boundary="x"'])("a form of more than a thousand parts, %s", async (boundary) => {
  const part = '--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n\r\n';
  const type = { "content-type": `multipart/form-data; ${boundary}` };
  const answer = await gateway.call("POST", "/v2/picture", `${part.repeat(1_001)}--x--\r\n`, type);
  expect(refusal(answer)).toEqual([
    400,
    "malformed_multipart",
    "The body is not valid multipart/form-data: it has more than 1000 parts.",
  ]);
});

test.each([
  ["headers", "X: y\r\n".repeat(5_000)],
  ["name", `Content-Disposition: form-data; name="${"a".repeat(30_000)}"\r\n`],
])("a form whose part has a %s without end", async (_, head) => {
  const type = { "content-type": "multipart/form-data; boundary=x" };
  const answer = await gateway.call("POST", "/v2/picture", `--x\r\n${head}\r\nx\r\n--x--\r\n`, type);
  expect(refusal(answer)).toEqual([
    400,
    "malformed_multipart",
    "The body is not valid multipart/form-data: the headers of a part are larger than 16384 bytes.",
  ]);
});

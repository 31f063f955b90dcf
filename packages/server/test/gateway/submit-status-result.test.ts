import { afterAll, beforeAll, expect, test } from "vitest";
import { type Gateway, KEY, OTHER_KEY, startGateway } from "./harness.ts";

/** GETs a URL of an answer as it is, as the SDK does. */
async function follow(url: string | undefined): Promise<unknown> {
  const answer = await fetch(url!, { headers: { authorization: `Bearer ${KEY}` } });
  return await answer.json();
}

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

test("a submitted request is queued, processed and completed, and its URLs can be followed as they are", async () => {
  const submitted = await gateway.call("POST", "/v2/picture", { prompt: "a red rose" });
  expect(submitted.status).toBe(200);
  const { request_id: id, status_url, response_url, poll_url } = submitted.json() as Record<string, string>;
  expect(await follow(status_url)).toMatchObject({ status: "QUEUED", request_id: id, metrics: {} });

  const file = await gateway.artifact(id!, "output.png", "image/png", Buffer.from("a picture"));
  const lease = await gateway.lease("picture");
  expect(lease.id).toBe(id);
  expect(lease.input).toEqual({ json: `{"prompt":"a red rose","seed":-1}` });
  expect(await follow(response_url)).toMatchObject({ status: "PROCESSING", request_id: id, metrics: {} });

  gateway.clock.advance(13_060);
  await gateway.store.settle(lease.id, lease.token, {
    type: "complete",
    inferenceMs: 13_060,
    hasFiles: true,
    result: { kind: "image", files: [file], seed: "123" },
  });
  expect(await follow(status_url)).toMatchObject({ status: "COMPLETED", metrics: { inference_time: 13.06 } });
  const result = (await follow(response_url)) as { output: string };
  expect(await follow(poll_url)).toEqual(result);
  expect(await (await fetch(result.output)).text()).toBe("a picture");
});

test("a request of another owner does not exist", async () => {
  const id = await gateway.submit("picture", { prompt: "mine" });
  for (const path of [`/v2/requests/${id}/status`, `/v2/requests/${id}`, `/v1/requests/${id}`]) {
    const answer = await gateway.call("GET", path, undefined, { "x-api-key": OTHER_KEY });
    expect(answer.status).toBe(404);
    expect(answer.text).toBe(`{"error":"Request ${id} not found"}`);
  }
});

test("a request is gone everywhere, with its files, on the millisecond it expires", async () => {
  const id = await gateway.submit("words", {});
  const file = await gateway.artifact(id, "output.txt", "text/plain", Buffer.from("text"));
  gateway.clock.advance(3_600_000 - 1);
  expect((await gateway.call("GET", `/v2/requests/${id}/status`)).status).toBe(200);
  expect((await gateway.call("GET", `/files/${file.key}`)).status).toBe(200);
  gateway.clock.advance(1);
  for (const path of [`/v2/requests/${id}/status`, `/v2/requests/${id}`, `/v1/requests/${id}`, `/files/${file.key}`]) {
    expect((await gateway.call("GET", path)).status).toBe(404);
  }
});

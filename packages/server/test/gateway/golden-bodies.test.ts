/** Every body of the contract's document, in every state, as it leaves the server: fields, types and order. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Result } from "../../src/core/request.ts";
import { type Gateway, startGateway } from "./harness.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

const PATHS = {
  status: (id: string) => `/v2/requests/${id}/status`,
  result: (id: string) => `/v2/requests/${id}`,
  v1: (id: string) => `/v1/requests/${id}`,
};

/** Compares an answer's body with test/golden/<name>.json; what differs from run to run is replaced by its name. */
async function expectGolden(name: string, text: string, id?: string): Promise<void> {
  expect(text).toBe(JSON.stringify(JSON.parse(text))); // compact, as JSON.stringify writes it
  const known = text
    .replaceAll(gateway.base, "http://HOST")
    .replaceAll(id ?? "no id", "ID")
    .replaceAll(/[0-9a-f]{32}\./g, "TOKEN.");
  await expect(`${JSON.stringify(JSON.parse(known), null, 2)}\n`).toMatchFileSnapshot(`../golden/${name}.json`);
}

async function expectGoldens(name: string, id: string, codes: readonly [number, number, number]): Promise<void> {
  for (const [index, [path, of]] of Object.entries(PATHS).entries()) {
    const answer = await gateway.call("GET", of(id));
    expect([path, answer.status]).toEqual([path, codes[index]]);
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    await expectGolden(`${name}-${path}`, answer.text, id);
  }
}

test("an accepted submit, queued, then processing", async () => {
  const answer = await gateway.call("POST", "/v2/picture", { prompt: "a red rose", seed: 123 });
  const id = String(answer.json()["request_id"]);
  await expectGolden("submitted", answer.text, id);
  await expectGoldens("queued", id, [200, 200, 200]);
  await gateway.lease("picture");
  await expectGoldens("processing", id, [200, 200, 200]);
});

async function completed(model: string, resultOf: (id: string) => Promise<Result>): Promise<string> {
  const id = await gateway.submit(model, model === "picture" ? { prompt: "x" } : {});
  const result = await resultOf(id);
  gateway.clock.advance(25.989);
  await gateway.complete(model, result);
  return id;
}

test("a completed image with seed and prompt", async () => {
  const id = await completed("picture", async (id) => ({
    kind: "image",
    files: [await gateway.artifact(id, "output.jpg", "image/jpeg", Buffer.alloc(868_446))],
    seed: "123",
    prompt: 'a "red" rose – on a wooden table',
  }));
  await expectGoldens("image", id, [200, 200, 200]);
});

test("several images, without seed and prompt", async () => {
  const id = await completed("picture", async (id) => ({
    kind: "image",
    files: [
      await gateway.artifact(id, "one.png", "image/png", Buffer.from("one")),
      await gateway.artifact(id, "two.png", "image/png", Buffer.from("two!")),
    ],
  }));
  await expectGoldens("images", id, [200, 200, 200]);
});

test("a completed video", async () => {
  const id = await completed("film", async (id) => ({
    kind: "video",
    file: await gateway.artifact(id, "output.mp4", "video/mp4", Buffer.alloc(57_576)),
  }));
  await expectGoldens("video", id, [200, 200, 200]);
});

test("a completed audio", async () => {
  const id = await completed("speech", async (id) => ({
    kind: "audio",
    file: await gateway.artifact(id, "output.wav", "audio/wav", Buffer.alloc(44)),
  }));
  await expectGoldens("audio", id, [200, 200, 200]);
});

test("a completed text, with reasoning and without", async () => {
  const plain = await completed("words", async () => ({ kind: "text", text: 'Line\n"two" – 😀', reasoning: null }));
  await expectGoldens("text", plain, [200, 200, 200]);
  const reasoned = await completed("words", async () => ({ kind: "text", text: "42", reasoning: "Six by nine." }));
  await expectGoldens("text-reasoning", reasoned, [200, 200, 200]);
});

test("a text that is being made, for whoever asks for what there is of it", async () => {
  const id = await gateway.submit("words", {});
  const { token } = await gateway.lease("words");
  await gateway.events.append(id, token, { type: "output", text: 'Line\n"two" – 😀' });
  await expectGolden("partial-result", (await gateway.call("GET", `${PATHS.result(id)}?partial=1`)).text, id);
  await expectGoldens("processing", id, [200, 200, 200]);
});

test("a text too large for the queue's rows streams into the same body", async () => {
  const text = 'Zeile "eins"\n😀ß'.repeat(20_000);
  const id = await completed("words", async (id) => ({
    kind: "text",
    text: await gateway.artifact(id, "output.txt", "text/plain", Buffer.from(text)),
    reasoning: null,
  }));
  const answer = await gateway.call("GET", PATHS.result(id));
  expect(answer.text).toBe(
    JSON.stringify({ status: "COMPLETED", output: text, reasoning: null, partial: false, error: null }),
  );
});

test("a failed request is 422 on V2, 200 on V1, the same body everywhere", async () => {
  const id = await gateway.submit("picture", { prompt: "x" });
  gateway.clock.advance(25.989);
  await gateway.fail("picture", { code: "model_error", message: "Prompt is required for video generation." });
  await expectGoldens("failed", id, [422, 422, 200]);
  for (const of of Object.values(PATHS)) {
    expect((await gateway.call("GET", of(id))).headers["x-error-code"]).toBe("model_error");
  }
});

test("a request cancelled before it ran has waited all its time", async () => {
  const id = await gateway.submit("picture", { prompt: "x" });
  gateway.clock.advance(1_500);
  const failure = { code: "cancelled", message: "The request was cancelled." } as const;
  await gateway.store.finish(id, { type: "cancel", failure });
  await expectGoldens("cancelled", id, [422, 422, 200]);
});

test("a submit that waited: its five fields, then those of the result", async () => {
  const waited = async (model: string, name: string, code: number, finish?: () => Promise<unknown>): Promise<void> => {
    const queued = new Promise<void>((resolve) => {
      const forget = gateway.store.onWake?.((wake) => {
        if (wake.type === "queued") resolve(forget?.());
      });
    });
    const body = model === "picture" ? { prompt: "x" } : {};
    const answering = gateway.call("POST", `/v2/${model}?wait=${finish === undefined ? 0.01 : 30}`, body);
    await queued;
    await finish?.();
    const answer = await answering;
    expect([name, answer.status]).toEqual([name, code]);
    await expectGolden(name, answer.text, String(answer.json()["request_id"]));
  };
  const settle = async (model: string, resultOf: (id: string) => Promise<Result>): Promise<void> => {
    const { id, token } = await gateway.lease(model);
    const result = await resultOf(id);
    gateway.clock.advance(1_500);
    await gateway.store.settle(id, token, { type: "complete", result, inferenceMs: 1_500, hasFiles: true });
  };
  await waited("film", "submitted-unfinished", 200);
  await gateway.lease("film");
  await waited("picture", "submitted-image", 200, () =>
    settle("picture", async (id) => ({
      kind: "image",
      files: [await gateway.artifact(id, "output.png", "image/png", Buffer.from("one"))],
      seed: "123",
    })),
  );
  await waited("film", "submitted-video", 200, () =>
    settle("film", async (id) => ({
      kind: "video",
      file: await gateway.artifact(id, "output.mp4", "video/mp4", Buffer.from("film")),
    })),
  );
  await waited("words", "submitted-text", 200, () =>
    settle("words", async () => ({ kind: "text", text: "42", reasoning: "Six by nine." })),
  );
  await waited("words", "submitted-failed", 422, () =>
    gateway.fail("words", { code: "model_error", message: "There are no words." }),
  );
});

test("an input refused at submit", async () => {
  const answer = await gateway.call("POST", "/v2/picture", {});
  expect(answer.status).toBe(422);
  expect(answer.headers["x-error-code"]).toBe("invalid_input");
  await expectGolden("refused", answer.text);
});

test("a request that does not exist", async () => {
  const id = "00000000-0000-0000-0000-000000000000";
  for (const of of Object.values(PATHS)) {
    const answer = await gateway.call("GET", of(id));
    expect(answer.status).toBe(404);
    await expectGolden("unknown", answer.text, id);
  }
});

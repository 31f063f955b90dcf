/** `Idempotency-Key`, as a client that retries sees it; docs/guide/idempotency.md. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { ADMIN_KEY, type Answer, type Gateway, OTHER_KEY, startGateway, TestClock } from "./harness.ts";
import { PNG } from "../media/samples.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => await gateway[Symbol.asyncDispose]());

type Headers = Record<string, string>;

function submit(input: unknown, headers: Headers = {}, path = "/v2/picture"): Promise<Answer> {
  return gateway.call("POST", path, input, { "idempotency-key": "order-7", ...headers });
}

/** The id, and whether it is an earlier request's. */
function told(answer: Answer): [id: string, replayed: boolean] {
  expect(answer.status, answer.text).toBe(200);
  return [String(answer.json()["request_id"]), answer.headers["idempotent-replayed"] === "true"];
}

async function waiting(model: string): Promise<number> {
  const lease = { worker: "test", capacity: new Map([[model, 1_000]]), leaseMs: 30_000, durable: false };
  return (await gateway.store.lease(lease)).length;
}

async function filesOf(id: string): Promise<string[]> {
  return await Array.fromAsync(gateway.blobs.list(`${id}/`));
}

/** The ids that files lie under. */
async function directories(): Promise<string[]> {
  return (await Array.fromAsync(gateway.blobs.list(""))).sort();
}

test("the same request under the same key is the same request: the same answer, and it waits once", async () => {
  const first = await submit({ prompt: "a rose" });
  expect(first.headers["idempotent-replayed"]).toBeUndefined();
  const second = await submit({ prompt: "a rose" });
  expect(second.headers["idempotent-replayed"]).toBe("true");
  expect(second.text).toBe(first.text);
  expect(await waiting("picture")).toBe(1);
});

test("pairs that come at once: one request for each key", async () => {
  const pairs = Array.from({ length: 100 }, (_, n) => {
    const send = (): Promise<Answer> => submit({ prompt: "a rose" }, { "idempotency-key": `pair-${n}` });
    return Promise.all([send(), send()]);
  });
  const ids = new Set<string>();
  for (const pair of await Promise.all(pairs)) {
    const [[one, oneIsReplay], [other, otherIsReplay]] = [told(pair[0]), told(pair[1])];
    expect(one).toBe(other);
    expect(oneIsReplay).toBe(!otherIsReplay);
    ids.add(one);
  }
  expect(ids.size).toBe(100);
  expect(await waiting("picture")).toBe(100);
});

test("a different request under the same key is refused, and names the first", async () => {
  const [id] = told(await submit({ prompt: "a rose" }));
  const other = await submit({ prompt: "a tulip" });
  expect([other.status, other.headers["x-error-code"]]).toEqual([409, "idempotency_conflict"]);
  expect(other.json()["error"]).toBe(
    `The Idempotency-Key came before with another request (${id}). Send what was sent then, or take a new key for a new request.`,
  );
  expect((await submit({}, {}, "/v2/words")).status).toBe(409);
  expect((await submit({ prompt: "a rose" }, { "x-priority": "high" })).status).toBe(409);
  expect((await submit({ prompt: "a rose" }, { "x-run-timeout": "9" })).status).toBe(409);
  expect(told(await submit({ prompt: "a rose" }))).toEqual([id, true]);
});

test("what counts is what runs, not how it was written down", async () => {
  const [id] = told(await submit({ prompt: "a rose", steps: 20, tiled: true }));
  for (const same of [
    { tiled: true, steps: 20, prompt: "a rose" },
    { prompt: "a rose", steps: "20", tiled: "true" },
    { prompt: "a rose", steps: 20, tiled: true, seed: -1 }, // the default: a random one each time it runs
    { prompt: "a rose", steps: 20, tiled: true, cfg: "a field that the model does not know" },
    '{ "steps": 2e1, "tiled":true,\n"prompt": "a \\u0072ose" }',
  ]) {
    expect(told(await submit(same))).toEqual([id, true]);
  }
  expect(told(await submit({ prompt: "a rose", steps: 20, tiled: true }, {}, "/v2/seedream-4.5"))).toEqual([id, true]);
  expect(told(await submit({ prompt: "a rose", steps: 20, tiled: true }, { "x-priority": "normal" }))).toEqual([
    id,
    true,
  ]);
});

test("a file counts by its bytes, whichever form it comes in; nothing is left of the copies", async () => {
  const base64 = PNG.toString("base64");
  const [id] = told(await submit({ prompt: "x", image: base64 }));
  expect(told(await submit({ prompt: "x", image: `data:image/png;base64,${base64}` }))).toEqual([id, true]);
  expect(told(await submit({ prompt: "x", image: `data:image/x-something;base64,${base64}` }))).toEqual([id, true]);
  expect(told(await submit({ prompt: "x", image: base64.replace(/=+$/, "") }))).toEqual([id, true]);
  for (const name of ["photo.png", "another.jpg"]) {
    const form = new FormData();
    form.set("image", new Blob([PNG]), name);
    form.set("prompt", "x");
    const encoded = new Response(form); // with a boundary of its own each time
    const type = { "content-type": encoded.headers.get("content-type")! };
    expect(told(await submit(Buffer.from(await encoded.arrayBuffer()), type))).toEqual([id, true]);
  }
  const other = Buffer.concat([PNG, Buffer.from([0])]);
  expect((await submit({ prompt: "x", image: other.toString("base64") })).status).toBe(409);
  expect(await directories()).toEqual([id]);
  expect(await filesOf(id)).toEqual(["0"]);
});

test("a URL counts as it stands; a file of this server by its name, whatever it is called by and even when it is gone", async () => {
  const [remote] = told(await submit({ prompt: "x", image: "https://example.com/a.png" }));
  expect(told(await submit({ prompt: "x", image: "https://example.com/a.png" }))).toEqual([remote, true]);
  expect((await submit({ prompt: "x", image: "https://example.com/b.png" })).status).toBe(409);

  const upload = await gateway.call("POST", "/upload-asset", {
    data_urls: [`data:image/png;base64,${PNG.toString("base64")}`],
  });
  const [url] = upload.json()["urls"] as string[];
  gateway.clock.advance(3_599_000);
  const own = { "idempotency-key": "own" };
  const [id] = told(await submit({ prompt: "x", image: url }, own));
  expect(told(await submit({ prompt: "x", image: url!.replace("127.0.0.1", "localhost") }, own))).toEqual([id, true]);
  gateway.clock.advance(2_000); // the asset has expired; the request has its own copy
  expect(told(await submit({ prompt: "x", image: url }, own))).toEqual([id, true]);
});

test("files of a submit that only the enqueue finds to be a replay, or a conflict, are deleted", async () => {
  const image = PNG.toString("base64");
  const answers = await Promise.all(Array.from({ length: 20 }, () => submit({ prompt: "x", image })));
  const ids = new Set(answers.map((answer) => told(answer)[0]));
  expect(ids.size).toBe(1);
  expect(await directories()).toEqual([...ids]);

  const other = Buffer.concat([PNG, PNG]).toString("base64");
  const rivals = [image, other].map((one) => submit({ prompt: "x", image: one }, { "idempotency-key": "rivals" }));
  const [accepted, refused] = (await Promise.all(rivals)).sort((a, b) => a.status - b.status);
  expect([accepted!.status, refused!.status]).toEqual([200, 409]);
  ids.add(told(accepted!)[0]);
  expect(await directories()).toEqual([...ids].sort());

  const text = { prompt: "long ".repeat(20_000) }; // a file too
  const [one, two] = await Promise.all([
    submit(text, { "idempotency-key": "t" }),
    submit(text, { "idempotency-key": "t" }),
  ]);
  expect(told(one)[0]).toBe(told(two)[0]);
  expect(await directories()).toEqual([...ids, told(one)[0]].sort());
});

test("a key is its owner's: others may have the same, another key of the owner finds the request", async () => {
  const [id] = told(await submit({ prompt: "a rose" }));
  const [other, replayed] = told(await submit({ prompt: "a rose" }, { "x-api-key": OTHER_KEY }));
  expect([other === id, replayed]).toEqual([false, false]);
  expect(told(await submit({ prompt: "a rose" }, { "x-api-key": ADMIN_KEY }))).toEqual([id, true]);
});

test("it holds in every state, and as long as the request lives", async () => {
  const [id] = told(await submit({}, {}, "/v2/words"));
  await gateway.lease("words");
  expect(told(await submit({}, {}, "/v2/words"))).toEqual([id, true]);
  await gateway.call("POST", `/v2/requests/${id}/cancel`);
  const failed = await submit({}, {}, "/v2/words");
  expect(told(failed)).toEqual([id, true]);
  expect(failed.json()["status"]).toBe("QUEUED"); // the contract's word for "submitted"; the poll tells the rest
  gateway.clock.advance(3_600_000);
  const [next, replayed] = told(await submit({}, {}, "/v2/words"));
  expect([next === id, replayed]).toEqual([false, false]);
});

test("a refusal is not remembered", async () => {
  expect((await submit({ prompt: "" })).status).toBe(422);
  expect((await submit({ prompt: "x" }, { "x-priority": "urgent" })).status).toBe(400);
  gateway.states.set("picture", { type: "failed", reason: "No memory." });
  expect((await submit({ prompt: "a rose" })).status).toBe(503);
  gateway.states.clear();
  expect(told(await submit({ prompt: "a rose" }))[1]).toBe(false);
});

test("a submit that could not be stored is tried again under its key", async () => {
  const store = memoryStore({ clock: new TestClock() });
  let isFull = true;
  await using own = await startGateway(
    {},
    {
      store: {
        ...store,
        enqueue: async (submission) => {
          if (isFull) throw new InferqError("store_unavailable");
          return await store.enqueue(submission);
        },
      },
    },
  );
  const send = (): Promise<Answer> => own.call("POST", "/v2/words", {}, { "idempotency-key": "k" });
  expect((await send()).status).toBe(503);
  isFull = false;
  expect(told(await send())[1]).toBe(false);
  expect(told(await send())[1]).toBe(true);
});

test("the synchronous call waits for the first one's result, and names its id", async () => {
  const [id] = told(await submit({}, {}, "/v2/words"));
  const both = Promise.all([submit({}, {}, "/v1/words"), submit({}, {}, "/v1/words")]);
  await gateway.complete("words", { kind: "text", text: "once", reasoning: null });
  for (const answer of [...(await both), await submit({}, {}, "/v1/words")]) {
    expect(answer.headers).toMatchObject({ "x-request-id": id, "idempotent-replayed": "true" });
    expect(answer.json()["output"]).toBe("once");
  }
});

test("a submit that waits gets the first one's result", async () => {
  const [id] = told(await submit({}, {}, "/v2/words"));
  await gateway.complete("words", { kind: "text", text: "once", reasoning: null });
  const answer = await submit({}, {}, "/v2/words?wait=30");
  expect(told(answer)).toEqual([id, true]);
  expect(answer.json()).toMatchObject({ status: "COMPLETED", output: "once" });
});

test.each([
  ["", 0],
  ["k".repeat(256), 256],
  ["caf\u00e9", 5], // in UTF-8
  ["a\tb", 3],
])("the key %j is refused before the body is looked at", async (key, length) => {
  const answer = await submit("not JSON", { "idempotency-key": key });
  expect([answer.status, answer.headers["x-error-code"]]).toEqual([400, "bad_request"]);
  expect(answer.json()["error"]).toMatch(
    new RegExp(`^Idempotency-Key must be 1 to 255 printable ASCII characters, got ${length} characters: "`),
  );
});

test("the longest key, with every sign that a key may have", async () => {
  const printable = String.fromCharCode(...Array.from({ length: 94 }, (_, n) => n + 33));
  const key = { "idempotency-key": printable.repeat(3).slice(0, 255) };
  const [id] = told(await submit({ prompt: "x" }, key));
  expect(told(await submit({ prompt: "x" }, key))).toEqual([id, true]);
});

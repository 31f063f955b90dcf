/** `?partial=1`: a text can be read while it is made, and nobody who does not ask for that sees any of it. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { catalog, type ServedModel } from "../../src/model/catalog.ts";
import { defineModel } from "../../src/model/model.ts";
import type { Lease } from "../../src/store/store.ts";
import { type Gateway, KEY, MODELS, OTHER_KEY, startGateway } from "./harness.ts";

/** Makes a text or a picture, as its input says. */
const EITHER: ServedModel = {
  definition: defineModel({
    name: "either",
    output: "image",
    outputOf: (input) => (input["kind"] === "text" ? "text" : "image"),
    input: { type: "object", properties: { kind: { type: "string" }, long: { type: "string" } } },
    run: () => "",
  }),
  timeoutMs: 600_000,
};

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway({}, { models: catalog([...MODELS, EITHER], () => ({ type: "ready" })) });
});
afterEach(() => gateway[Symbol.asyncDispose]());

async function running(model = "words", input: object = {}): Promise<Lease> {
  await gateway.submit(model, input);
  return await gateway.lease(model);
}

async function tell({ id, token }: Lease, ...pieces: string[]): Promise<void> {
  for (const text of pieces) expect(await gateway.events.append(id, token, { type: "output", text })).toBe(true);
}

async function poll(id: string, query = "?partial=1"): Promise<Record<string, unknown>> {
  const answer = await gateway.call("GET", `/v2/requests/${id}${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers["cache-control"]).toBe("no-store");
  return answer.json();
}

describe("of a text that is being made", () => {
  test("the running answer, and what there is of the text already", async () => {
    const lease = await running();
    const without = await poll(lease.id, "");
    expect(without).not.toHaveProperty("output");
    const fields = { reasoning: null, partial: true, error: null };
    expect(await poll(lease.id)).toEqual({ ...without, output: "", ...fields });
    await tell(lease, 'The "quick"\n', "brown 🦊 – ");
    const answer = await poll(lease.id);
    expect(answer).toEqual({ ...without, output: 'The "quick"\nbrown 🦊 – ', ...fields });
    expect(Object.keys(answer)).toEqual([...Object.keys(without), "output", "reasoning", "partial", "error"]);
  });

  test("nothing of it without the parameter, with one that says no, on the status or on V1", async () => {
    const lease = await running();
    await tell(lease, "The quick");
    const queries = ["", "?partial=0", "?partial=false", "?partial=0&wait=0"];
    const paths = queries.map((query) => `/v2/requests/${lease.id}${query}`);
    for (const path of [...paths, `/v2/requests/${lease.id}/status?partial=1`, `/v1/requests/${lease.id}?partial=1`]) {
      const answer = await gateway.call("GET", path);
      expect([path, answer.status, answer.text.includes("quick"), answer.text.includes("output")]).toEqual([
        path,
        200,
        false,
        false,
      ]);
    }
  });

  test("the whole result once it is finished, whatever was told", async () => {
    const lease = await running();
    await tell(lease, "The quick brown");
    const result = { kind: "text", text: "The quick brown fox", reasoning: null } as const;
    await gateway.store.settle(lease.id, lease.token, { type: "complete", result, inferenceMs: 1, hasFiles: false });
    expect(await poll(lease.id)).toEqual(await poll(lease.id, ""));
    expect(await poll(lease.id)).toMatchObject({ status: "COMPLETED", output: "The quick brown fox", partial: false });
  });

  test("422 as ever when it fails", async () => {
    const id = await gateway.submit("words", {});
    await gateway.fail("words", { code: "model_error", message: "It failed." });
    const answer = await gateway.call("GET", `/v2/requests/${id}?partial=1`);
    expect([answer.status, answer.headers["x-error-code"]]).toEqual([422, "model_error"]);
  });

  test("nothing while it waits, also for another try; then of that try alone", async () => {
    const id = await gateway.submit("words", {});
    expect(await poll(id)).toEqual(await poll(id, ""));
    const first = await gateway.lease("words");
    await tell(first, "a first text");
    await gateway.store.settle(id, first.token, { type: "release" });
    expect(await poll(id)).toEqual(await poll(id, ""));
    const second = await gateway.lease("words");
    await tell(second, "a second");
    expect(await poll(id)).toMatchObject({ status: "PROCESSING", output: "a second" });
  });

  test("also where it depends on the input that a text is made, and where the input lies in a file", async () => {
    const long = "x".repeat(200_000);
    for (const input of [{ kind: "text" }, { kind: "text", long }]) {
      const lease = await running("either", input);
      expect("key" in lease.input).toBe("long" in input);
      expect(await poll(lease.id)).toMatchObject({ output: "", partial: true });
    }
  });
});

test("pictures, sounds and films are answered as without it", async () => {
  for (const [model, input] of [
    ["picture", { prompt: "x" }],
    ["film", {}],
    ["speech", {}],
    ["either", {}],
  ] as const) {
    const lease = await running(model, input);
    expect(await poll(lease.id)).toEqual(await poll(lease.id, ""));
  }
});

test("yes is 1 or true, no is 0 or false, and everything else is refused", async () => {
  const { id } = await running();
  expect(await poll(id, "?partial=true")).toHaveProperty("partial", true);
  for (const wish of ["", "2", "yes", "TRUE", "constructor", "x".repeat(200)]) {
    const answer = await gateway.call("GET", `/v2/requests/${id}?partial=${wish}`);
    expect([wish, answer.status, answer.headers["x-error-code"]]).toEqual([wish, 400, "bad_request"]);
    expect(answer.json()["error"]).toContain("partial must be 1 (or true) or 0 (or false), got");
  }
});

test("only of one's own requests, and only with a key", async () => {
  const lease = await running();
  await tell(lease, "a secret");
  const path = `/v2/requests/${lease.id}?partial=1`;
  const other = await gateway.call("GET", path, undefined, { "x-api-key": OTHER_KEY });
  expect([other.status, other.text.includes("secret")]).toEqual([404, false]);
  expect((await gateway.call("GET", path, undefined, { "x-api-key": "" })).status).toBe(401);
});

test("a call that waits too is answered with the text so far when its time is over", async () => {
  const lease = await running();
  await tell(lease, "The quick");
  const answer = await gateway.call("GET", `/v2/requests/${lease.id}?wait=0.01&partial=1`, undefined, {
    "x-api-key": KEY,
  });
  expect(answer.headers["preference-applied"]).toBe("wait=0.01");
  expect(answer.json()).toMatchObject({ status: "PROCESSING", output: "The quick", partial: true });
});

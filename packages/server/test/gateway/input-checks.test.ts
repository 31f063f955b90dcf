import { afterAll, beforeAll, expect, test } from "vitest";
import { inputCheck } from "../../src/model/input.ts";
import { type Gateway, MODELS, startGateway } from "./harness.ts";

const check = inputCheck(MODELS[0]!.definition.input);

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

const accepted = (fields: Record<string, unknown>): unknown => check({ prompt: "x", ...fields }).input;
const refusal = (fields: Record<string, unknown>): string => {
  try {
    return `accepted: ${JSON.stringify(check(fields))}`;
  } catch (error) {
    return (error as Error).message;
  }
};

test("decimal strings become numbers and true and false booleans, where the schema says so", () => {
  expect(accepted({ steps: "20", strength: "0.5", tiled: "true" })).toMatchObject({
    steps: 20,
    strength: 0.5,
    tiled: true,
  });
  expect(accepted({ seed: "-1", tiled: "false" })).toMatchObject({ seed: -1, tiled: false });
  expect(accepted({ points: [{ x: "1.50" }] })).toMatchObject({ points: [{ x: 1.5 }] });
  expect(accepted({ prompt: "20" })).toMatchObject({ prompt: "20" });
});

test.each([
  ["0x10"],
  ["1e1"],
  ["Infinity"],
  ["NaN"],
  [""],
  [" 1"],
  ["1 "],
  ["+1"],
  ["01"],
  [".5"],
  ["1."],
  ["1_0"],
  ["99999999999999999999"],
  ["1".repeat(400)],
])("%j is no number", (text) => {
  expect(refusal({ prompt: "x", steps: text })).toMatch(/^steps must be a whole number, got "/);
});

test("nothing else is coerced: not null, not a number to a string, not a list of one", () => {
  expect(refusal({ prompt: null })).toBe("prompt must be a string, got null.");
  expect(refusal({ prompt: 5 })).toBe("prompt must be a string, got 5.");
  expect(refusal({ prompt: "x", tiled: 1 })).toBe("tiled must be true or false, got 1.");
  expect(refusal({ prompt: "x", tiled: "TRUE" })).toBe('tiled must be true or false, got "TRUE".');
  expect(refusal({ prompt: "x", steps: null })).toBe("steps must be a whole number, got null.");
  expect(refusal({ prompt: "x", steps: [1] })).toBe("steps must be a whole number, got a list of 1.");
  expect(refusal({ prompt: "x", steps: true })).toBe("steps must be a whole number, got true.");
});

test("a refusal names the field, what was expected and what came", () => {
  expect(refusal({})).toBe("prompt is required.");
  expect(refusal({ prompt: "" })).toBe('prompt must be a string that is not empty, got "".');
  expect(refusal({ prompt: "x", steps: 51 })).toBe("steps must be at most 50, got 51.");
  expect(refusal({ prompt: "x", steps: 1.5 })).toBe("steps must be a whole number, got 1.5.");
  expect(refusal({ prompt: "x", size: "huge" })).toBe('size must be one of "small", "large", got "huge".');
  expect(refusal({ prompt: "x", points: [{}, { x: {} }] })).toBe("points[1].x must be a number, got an object.");
  expect(refusal({ prompt: "x", steps: "y".repeat(1_000) })).toBe(
    `steps must be a whole number, got "${"y".repeat(60)}…".`,
  );
});

test("a number beyond what a number can hold is refused", async () => {
  const answer = await gateway.call("POST", "/v2/picture", '{"prompt":"x","points":[{"x":1e999}]}');
  expect(answer.status).toBe(422);
  expect(answer.json()["error"]).toBe("points[0].x must be a number, got Infinity.");
});

test("defaults are filled in and unknown fields left out of what is stored, and named in a Warning", async () => {
  const body = `{"prompt":"x","guidance":7,"ünï\\"":1,"__proto__":{"steps":9}}`;
  const answer = await gateway.call("POST", "/v2/picture", body);
  expect(answer.status).toBe(200);
  expect(answer.headers.warning).toBe(
    `299 - "The model does not know these fields and ignores them: guidance, ?n??, __proto__"`,
  );
  const lease = await gateway.lease("picture");
  expect(lease.input).toEqual({ json: `{"prompt":"x","seed":-1}` });
});

test("a field may be called as what every object in JavaScript has", () => {
  const property = { type: "string", default: "x" };
  const named = inputCheck({ type: "object", required: ["constructor"], properties: { constructor: property } });
  expect(named({ constructor: "a" }).input).toEqual({ constructor: "a" });
  expect(() => named({})).toThrow("constructor is required.");
  const optional = inputCheck({ type: "object", properties: { toString: { type: "string" }, size: { default: 1 } } });
  expect(optional({}).input).toEqual({ size: 1 });
});

test("a refused input queues nothing", async () => {
  expect((await gateway.call("POST", "/v2/picture", { prompt: 5 })).status).toBe(422);
  await expect(gateway.lease("picture")).rejects.toThrow("no request for picture waits");
});

test("an alias runs the model itself", async () => {
  await gateway.submit("seedream-4.5", { prompt: "a red rose", aspect_ratio: "1:1" });
  expect((await gateway.lease("picture")).model).toBe("picture");
});

/** A model's schema may make the check of an input slow beyond measure: a stranger who finds the input for it holds up nobody else. */
import { expect, test } from "vitest";
import { inputCheck } from "../../src/model/input.ts";
import type { JsonSchema } from "../../src/model/model.ts";

const refusal = (property: JsonSchema, value: unknown): string => {
  try {
    inputCheck({ type: "object", properties: { field: property } })({ field: value });
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
};
const TOO_LONG = "The input takes too long to be held against the model's schema. Send shorter texts and lists.";

test("a text that a pattern would try in more ways than there is time is refused", () => {
  const words = { type: "string", pattern: "^(?:\\w+\\s?)+$" };
  expect(refusal(words, "plain words")).toBe("accepted");
  expect(refusal(words, "no!")).toBe('field must be a string that matches ^(?:\\w+\\s?)+$, got "no!".');
  expect(refusal(words, `${"a".repeat(60)}!`)).toBe(TOO_LONG);
  expect(refusal({ type: "object", patternProperties: { "^(a|aa)+$": {} } }, { [`${"a".repeat(99)}!`]: 1 })).toBe(
    TOO_LONG,
  );
});

test("a list whose entries would be compared each with each is refused when it is too long", () => {
  const list = { type: "array", items: {}, uniqueItems: true };
  expect(refusal(list, [1, [1], { a: 1 }])).toBe("accepted");
  expect(
    refusal(
      list,
      Array.from({ length: 200_000 }, (_, index) => [index]),
    ),
  ).toBe(TOO_LONG);
});

test("after one that took too long the next is checked as ever", () => {
  const check = inputCheck({ type: "object", properties: { field: { type: "string", pattern: "^(a+)+$" } } });
  expect(() => check({ field: `${"a".repeat(60)}!` })).toThrow(TOO_LONG);
  expect(check({ field: "aaa" }).input).toEqual({ field: "aaa" });
});

test("sentences stay short, whatever the input's names and the model's choices", () => {
  const words = Array.from({ length: 2_000 }, (_, index) => `word-${index}`);
  expect(refusal({ enum: words }, "none")).toMatch(
    /^field must be one of "word-0", .*"word-19", or 1980 others, got "none"\.$/,
  );
  const counts = { type: "object", additionalProperties: { type: "integer" } };
  expect(refusal(counts, { ["k".repeat(100_000)]: "b" })).toBe(
    `field.${"k".repeat(60)} must be a whole number, got "b".`,
  );
  const closed = { type: "object", additionalProperties: false };
  expect(refusal(closed, { ["k".repeat(100_000)]: 1 })).toContain(`without the field "${"k".repeat(60)}…"`);
});

test("half a character of a client's is never passed on", () => {
  const counts = { type: "object", additionalProperties: { type: "integer" } };
  expect(refusal(counts, { "\ud800": "b" })).toBe('field.\ufffd must be a whole number, got "b".');
  expect(refusal(counts, { [`${"a".repeat(59)}😀`]: "b" }).isWellFormed()).toBe(true);
});

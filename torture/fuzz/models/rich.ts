/** Every kind of schema that a model may have, so that every kind of bad value is met by one. It answers how much came. */
import { defineModel } from "inferq/model";

const words = Array.from({ length: 2_000 }, (_, index) => `word-${index}`);

export default defineModel({
  name: "rich",
  output: "text",
  description: "Takes everything, and answers how many fields came.",
  input: {
    type: "object",
    required: ["prompt"],
    properties: {
      prompt: { type: "string", minLength: 1, maxLength: 2_000 },
      seed: { type: "integer", minimum: -1, default: -1 },
      steps: { type: "integer", minimum: 1, maximum: 50, multipleOf: 5 },
      strength: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
      tiled: { type: "boolean" },
      size: { enum: ["small", "large", 3, null, true] },
      word: { enum: words },
      slug: { type: "string", pattern: "^[a-z0-9]+(?:-[a-z0-9]+)*$" },
      spaced: { type: "string", pattern: "^(?:\\w+\\s?)+$", maxLength: 64 },
      both: { anyOf: [{ type: "string", maxLength: 8 }, { type: "number" }] },
      one: { oneOf: [{ type: "integer" }, { type: "number", multipleOf: 0.5 }] },
      fixed: { const: "fixed" },
      tags: { type: "array", items: { type: "string" }, uniqueItems: true, minItems: 1 },
      sets: { type: "array", items: {}, uniqueItems: true },
      chosen: { type: "array", items: { enum: words } },
      points: {
        type: "array",
        maxItems: 100,
        items: {
          type: "object",
          required: ["x", "y"],
          additionalProperties: false,
          properties: { x: { type: "number" }, y: { type: "number" } },
        },
      },
      nested: {
        type: "object",
        properties: {
          a: { type: "object", properties: { b: { type: "object", properties: { c: { type: "integer" } } } } },
        },
        patternProperties: { "^x-[a-z]+$": { type: "string" } },
        propertyNames: { maxLength: 40 },
        minProperties: 1,
      },
      counts: { type: "object", additionalProperties: { type: "integer" } },
      tree: { $ref: "#/$defs/tree" },
      anything: {},
      __proto_like__: { type: "string" },
      constructor: { type: "string" },
    },
    $defs: {
      tree: {
        type: "object",
        properties: { value: {}, children: { type: "array", items: { $ref: "#/$defs/tree" } } },
      },
    },
  },
  concurrency: 64,
  run: (input: object) => `${Object.keys(input).length} fields`,
});

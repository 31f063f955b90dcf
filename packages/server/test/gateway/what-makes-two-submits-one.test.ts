/** The digest that an idempotency key is compared by: one for all ways to write one request down, another for any other request. */
import { hash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { requestDigest, canonicalJson } from "../../src/gateway/idempotency.ts";
import { submitOptions } from "../../src/gateway/submit-options.ts";
import type { SourceContext, Upload } from "../../src/media/sources.ts";
import type { Webhook } from "../../src/core/request.ts";
import { catalog } from "../../src/model/catalog.ts";
import { MODELS } from "./harness.ts";

const models = catalog(MODELS, () => ({ type: "ready" }));
const LIVES = { resultTtlSeconds: 3_600, resultTtlLimitSeconds: 604_800 };

type Fields = Readonly<Record<string, unknown>>;

async function digest(
  fields: Fields,
  headers: Readonly<Record<string, string>> = {},
  uploads: ReadonlyMap<string, Upload> = new Map(),
  name = "picture",
  webhook: Webhook | null = null,
): Promise<string> {
  const model = models.find(name)!;
  const sources: SourceContext = {
    uploads,
    limitBytes: 1e6,
    ownBases: ["http://localhost:8787"],
    allowPrivate: false,
  };
  const options = { ...submitOptions(headers, model, LIVES), webhook };
  return await requestDigest(model, model.check(fields).input, sources, options);
}

const input = fc.record(
  {
    prompt: fc.string({ minLength: 1 }),
    seed: fc.integer({ min: -1, max: 1e9 }),
    steps: fc.integer({ min: 1, max: 50 }),
    strength: fc.integer({ min: 0, max: 1_000 }).map((thousandths) => thousandths / 1_000),
    tiled: fc.boolean(),
    size: fc.constantFrom("small", "large"),
    points: fc.array(fc.record({ x: fc.integer(), "": fc.string(), y: fc.jsonValue() })),
  },
  { requiredKeys: ["prompt"] },
);
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 100 });

function shuffled(value: unknown, order: number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, order));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, item]) => [name, shuffled(item, order)] as const);
  return Object.fromEntries(
    order % 2 === 0 ? entries.toReversed() : [...entries.slice(order % 3), ...entries.slice(0, order % 3)],
  );
}

/** As many clients send them: numbers and booleans as text. */
function asTexts(fields: Fields): Fields {
  const text = (value: unknown): unknown =>
    typeof value === "number" || typeof value === "boolean" ? String(value) : value;
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, text(value)]));
}

test("the order of fields, numbers and booleans as text, defaults, unknown fields and an alias make no difference", async () => {
  await fc.assert(
    fc.asyncProperty(input, fc.nat(), async (fields, order) => {
      const one = await digest(fields);
      expect(await digest(shuffled(fields, order) as Fields)).toBe(one);
      expect(await digest(asTexts(fields))).toBe(one);
      expect(await digest({ seed: -1, ...fields, unknown: order })).toBe(one);
      expect(await digest(fields, {}, new Map(), "seedream-4.5")).toBe(one);
    }),
  );
});

test("any other input makes another", async () => {
  await fc.assert(
    fc.asyncProperty(input, input, async (one, other) => {
      const same = canonicalJson({ seed: -1, ...one }) === canonicalJson({ seed: -1, ...other });
      expect((await digest(one)) === (await digest(other))).toBe(same);
    }),
  );
});

test("a file's bytes are what counts, in whichever of its forms and fields", async () => {
  await fc.assert(
    fc.asyncProperty(someBytes, someBytes, async (bytes, others) => {
      const base64 = Buffer.from(bytes).toString("base64");
      const percent = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
      const forms = [base64, Buffer.from(bytes).toString("base64url"), `data:;base64,${base64}`, `data:,${percent}`];
      const digests = await Promise.all(forms.map((image) => digest({ prompt: "x", image })));
      const uploads = new Map([["multipart:1", { bytes }]]);
      digests.push(await digest({ prompt: "x", image: "multipart:1" }, {}, uploads));
      expect(new Set(digests).size).toBe(1);

      const other = await digest({ prompt: "x", image: Buffer.from(others).toString("base64") });
      expect(other === digests[0]).toBe(Buffer.compare(bytes, others) === 0);
      expect(await digest({ prompt: "x", image_input: [base64] })).not.toBe(digests[0]);
    }),
  );
});

test("a text cannot pass for a file", async () => {
  const image = Buffer.from("bytes").toString("base64");
  const seen = await digest({ prompt: "x", image });
  const sha256 = hash("sha256", "bytes");
  expect(await digest({ prompt: JSON.stringify({ sha256 }) })).not.toBe(seen);
  expect(await digest({ prompt: "x", points: [{ sha256 }] })).not.toBe(seen);
});

test("options count as they are meant: 30 and 30.0 seconds are one, a priority that is the usual one is none", async () => {
  const fields = { prompt: "x" };
  const same = [{}, { "x-priority": "normal" }, { "x-keep-until-read": "false" }, { "idempotency-key": "any" }];
  expect(new Set(await Promise.all(same.map((headers) => digest(fields, headers)))).size).toBe(1);
  expect(await digest(fields, { "x-run-timeout": "30" })).toBe(await digest(fields, { "x-run-timeout": "30.0" }));
  const different = [
    {},
    { "x-priority": "low" },
    { "x-priority": "high" },
    { "x-start-timeout": "30" },
    { "x-run-timeout": "30" },
    { "x-result-ttl": "30" },
    { "x-keep-until-read": "true" },
  ];
  const digests = await Promise.all(different.map((headers) => digest(fields, headers)));
  expect(new Set(digests).size).toBe(different.length);
});

test("a webhook counts, whoever it goes to, of whatever and in whichever body; none is as it was before there were any", async () => {
  const hook: Webhook = { url: "https://client.example/hook", events: ["completed", "failed"], body: "full" };
  const webhooks: readonly (Webhook | null)[] = [
    null,
    hook,
    { ...hook, url: "https://client.example/other" },
    { ...hook, events: ["failed"] },
    { ...hook, body: "thin" },
  ];
  const digests = await Promise.all(webhooks.map((one) => digest({ prompt: "x" }, {}, new Map(), "picture", one)));
  expect(new Set(digests).size).toBe(webhooks.length);
  expect(digests[0]).toBe(hash("sha256", canonicalJson(["picture", { prompt: "x", seed: -1 }, OPTIONS])));
});

test("a large file is hashed in slices, to the same end", async () => {
  const large = Buffer.alloc(700_000, "0123456789");
  const uploads = new Map([["multipart:1", { bytes: large }]]);
  const expected = hash(
    "sha256",
    canonicalJson(["picture", { prompt: "x", seed: -1, image: { sha256: hash("sha256", large) } }, OPTIONS]),
  );
  expect(await digest({ prompt: "x", image: "multipart:1" }, {}, uploads)).toBe(expected);
});

const OPTIONS = { priority: 0, startTimeoutMs: null, runTimeoutMs: null, ttlMs: null, keepUntilRead: false };

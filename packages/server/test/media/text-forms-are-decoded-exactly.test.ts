import * as fc from "fast-check";
import { expect, it } from "vitest";
import { decodeBase64, decodeDataUri } from "../../src/media/text-forms.ts";

const LIMIT = 10_000;
const bytes = fc.uint8Array({ maxLength: 300 });
const space = fc.constantFrom("", "\n", "\r\n", "\t");

it("any bytes in any spelling of base64 come back as they were", () => {
  const spelling = fc.constantFrom<("base64" | "base64url")[]>("base64", "base64url");
  fc.assert(
    fc.property(bytes, spelling, fc.nat(400), space, (data, alphabet, at, gap) => {
      const text = Buffer.from(data).toString(alphabet);
      const spaced = text.slice(0, at) + gap + text.slice(at);
      for (const written of [text, spaced, spaced.replaceAll("=", "")]) {
        expect(decodeBase64(written, LIMIT)).toEqual(Buffer.from(data));
        expect(decodeDataUri(`data:a/b;x=y;base64,${written}`, LIMIT)).toEqual(Buffer.from(data));
      }
    }),
  );
});

it("base64 with anything foreign in it is refused, never decoded to something shorter", () => {
  const foreign = fc.constantFrom(" ", "*", "!", ".", "é", "\0", "%", "~", "日");
  fc.assert(
    fc.property(bytes, fc.nat(400), foreign, (data, at, mark) => {
      const text = Buffer.from(data).toString("base64");
      expect(decodeBase64(text.slice(0, at) + mark + text.slice(at), LIMIT)).toBeUndefined();
    }),
  );
});

it.each(["A", "AAAAA", "====", "=AAA", "AA=A", "AAA==", "AAAA=", "AAAA===", "AA==AA=="])("%s is not base64", (text) =>
  expect(decodeBase64(text, LIMIT)).toBeUndefined(),
);

it("any bytes percent-encoded in a data URI come back as they were, with or without a type", () => {
  fc.assert(
    fc.property(bytes, fc.constantFrom("", "text/plain;charset=utf-8", ";base64x"), (data, type) => {
      const encoded = [...data].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
      expect(decodeDataUri(`data:${type},${encoded}`, LIMIT)).toEqual(Buffer.from(data));
    }),
  );
});

it("text in a data URI comes back as UTF-8, and a lone % stands for itself", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const plain = text.toWellFormed();
      expect(decodeDataUri(`data:,${encodeURIComponent(plain)}`, LIMIT)).toEqual(Buffer.from(plain));
    }),
  );
  expect(Buffer.from(decodeDataUri("data:,100% é %zz %4", LIMIT) as Uint8Array).toString()).toBe("100% é %zz %4");
});

it("no text makes it throw, and none decodes to more than the limit", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), fc.nat(20), (text, limit) => {
      for (const decoded of [decodeBase64(text, limit), decodeDataUri(`data:${text}`, limit)]) {
        if (decoded instanceof Uint8Array) expect(decoded.length).toBeLessThanOrEqual(limit);
      }
    }),
  );
});

import { join, resolve } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { contentTypeOf, extensionOf } from "../../src/blob/content-type.ts";
import { isBlobKey, isBlobPrefix, newBlobKey } from "../../src/blob/key.ts";

const ID = "0192d3a4-5b6c-7d8e-9f01-23456789abcd";
const piece = fc.constantFrom("..", ".", "", "/", "\\", "%2e%2e", "\0", "\n", "C:", ID, "1", "a".repeat(32), ".png");

it("text of any kind is either no key or a path three levels below the root", () => {
  const valid = fc
    .tuple(fc.nat(999), fc.constantFrom("png", "mp4", "bin"))
    .map(([attempt, ext]) => newBlobKey(ID, attempt, ext));
  const hostile = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("/"));
  const edited = fc.tuple(valid, fc.nat(80), piece).map(([key, at, text]) => key.slice(0, at) + text + key.slice(at));
  fc.assert(
    fc.property(fc.oneof(fc.string(), hostile, edited, valid), (text) => {
      if (!isBlobKey(text)) return;
      expect(text.split("/")).toHaveLength(3);
      expect(resolve("/root/files", text)).toBe(join("/root/files", text));
      expect(resolve("/root/files", text).startsWith("/root/files/")).toBe(true);
    }),
  );
});

it("a new key is always a key, and its beginnings are prefixes", () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom("png", "txt"), (attempt, extension) => {
      const key = newBlobKey(ID, attempt, extension);
      expect(isBlobKey(key)).toBe(true);
      expect(isBlobPrefix(`${ID}/`) && isBlobPrefix(`${ID}/${attempt}/`)).toBe(true);
    }),
  );
});

it.each(["", "/", "..", ID, `${ID}/1`, `${ID}/01/`, `${ID}/1/x`, `${ID}/../`, `${ID}/\n`, `${ID.toUpperCase()}/`])(
  "%j is no prefix",
  (prefix) => expect(isBlobPrefix(prefix)).toBe(false),
);

it("types and extensions lead back to each other", () => {
  const types = [
    "png",
    "jpg",
    "webp",
    "gif",
    "avif",
    "bmp",
    "tiff",
    "svg",
    "mp4",
    "webm",
    "mov",
    "mkv",
    "mp3",
    "wav",
    "ogg",
  ];
  for (const extension of [...types, "flac", "txt", "html", "json", "pdf", "bin"]) {
    expect(extensionOf(contentTypeOf(`name.${extension}`))).toBe(extension);
  }
  expect(contentTypeOf("photo.JPEG")).toBe("image/jpeg");
  expect(extensionOf("text/plain; charset=utf-8")).toBe("txt");
  expect([contentTypeOf("a.__proto__"), contentTypeOf("none"), extensionOf("x/y")]).toEqual([
    "application/octet-stream",
    "application/octet-stream",
    "bin",
  ]);
});

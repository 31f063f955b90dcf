import type { BlobStore } from "../../src/blob/blob-store.ts";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { newBlobKey } from "../../src/blob/key.ts";
import { intake } from "../../src/media/intake.ts";
import { GIF, MP4, newId, PNG, SCHEMA, shop } from "./samples.ts";

const SVG = `<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>`;
const GONE = `http://localhost:8787/files/${newBlobKey(newId(), 1, "png")}`;

describe("what was expected and what came is said for", () => {
  it.each([
    ["another kind", MP4.toString("base64"), "image must be image/*, got video/mp4."],
    ["a page", "data:image/png,<!doctype html><title>404</title>", "image must be image/*, got text/html."],
    ["a drawing that can run script", `data:,${SVG}`, "image must be image/* (SVG is not taken), got image/svg+xml."],
    ["text", "data:,hello there", "image must be image/*, got text/plain."],
    ["a playlist", "data:,%23EXTM3U%0Afile:///etc/passwd", "image must be image/*, got text/plain."],
    ["noise", "data:,%00%01%02%03%04", "image must be image/*, got data of no known type."],
    ["a sentence", "a cat on a mat", 'image must be a URL, a data URI or base64, got "a cat on a mat".'],
    ["something long", "~".repeat(500), `image must be a URL, a data URI or base64, got "${"~".repeat(56)}…".`],
    [
      "base64 with one wrong digit",
      `${PNG.toString("base64").slice(0, 40)}*${PNG.toString("base64").slice(41)}`,
      "image must be a URL, a data URI or base64",
    ],
    ["an empty text", "", 'image must be a URL, a data URI or base64, got "".'],
    ["an empty file", "data:image/png;base64,", "image is empty."],
    ["a broken data URI", "data:image/png;base64", 'image is not a valid data URI: "data:image/png;base64".'],
    ["a number", 7, "image must be a URL, a data URI or base64, got 7."],
    ["a URL without end", `http://${"a".repeat(9_000)}`, "image is a URL of 9007 characters; at most 8192 are taken."],
    ["a URL that is none", "http://", 'image is not a valid URL: "http://".'],
    [
      "a file of the server's machine",
      "file:///etc/passwd",
      'image must be an http or https URL, got "file:///etc/passwd".',
    ],
    ["a file that is gone", GONE, "image names a file of this server that is not there"],
  ])("%s", async (_what, image, sentence) => {
    await using here = await shop();
    const refused = intake({ image }, SCHEMA, here.context());
    await expect(refused).rejects.toMatchObject({ code: "invalid_input", message: expect.stringContaining(sentence) });
  });

  it("an item of a list", async () => {
    await using here = await shop();
    const refused = intake({ image_input: [GIF.toString("base64"), "?"] }, SCHEMA, here.context());
    await expect(refused).rejects.toMatchObject({ message: expect.stringMatching(/^image_input\[1\] must be a URL/) });
  });

  it("a list that is too long, before the first is stored", async () => {
    await using here = await shop();
    let stored = 0;
    const put: BlobStore["put"] = (key, source) => {
      stored += 1;
      return here.blobs.put(key, source);
    };
    const files = Array<string>(101).fill(GIF.toString("base64"));
    const refused = intake({ image_input: files }, SCHEMA, here.context({ blobs: { ...here.blobs, put } }));
    await expect(refused).rejects.toMatchObject({ message: expect.stringMatching(/^image_input\[100\] is one file/) });
    expect(stored).toBe(0);
  });

  it("a list that is too long", async () => {
    await using here = await shop();
    const urls = Array<string>(101).fill("https://pictures.example/cat.png");
    const refused = intake({ image_input: urls }, SCHEMA, here.context());
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      message: "image_input[100] is one file too many: a request may have at most 100.",
    });
  });
});

it.each([
  [
    "http://169.254.169.254/latest/meta-data/",
    "image may not be fetched from 169.254.169.254: 169.254.169.254 is a link-local address.",
  ],
  ["http://2130706433:9200/", "image may not be fetched from 127.0.0.1:9200: 127.0.0.1 is a loopback address."],
  [
    "http://me:word@pictures.example/",
    "image may not be fetched from pictures.example: the URL carries a user name or password.",
  ],
])("%s is refused at once", async (image, message) => {
  await using here = await shop();
  await expect(intake({ image }, SCHEMA, here.context())).rejects.toMatchObject({
    code: "input_blocked",
    status: 422,
    message,
  });
});

it("a private address passes where the operator allows it", async () => {
  await using here = await shop();
  const { input } = await intake({ image: "http://10.0.0.1/a.png" }, SCHEMA, here.context({ allowPrivate: true }));
  expect(input).toEqual({ image: { $media: { url: "http://10.0.0.1/a.png" } } });
});

describe("a medium over the limit answers 413, as", () => {
  const limitBytes = PNG.length - 1;
  it.each([
    ["base64", PNG.toString("base64")],
    ["a data URI", `data:image/png;base64,${PNG.toString("base64")}`],
    ["percent-encoding", `data:,${"%89".repeat(PNG.length)}`],
    ["a file of a form", "multipart:0"],
  ])("%s", async (_form, image) => {
    await using here = await shop();
    const context = here.context({ limitBytes, uploads: new Map([["multipart:0", { bytes: PNG }]]) });
    await expect(intake({ image }, SCHEMA, context)).rejects.toMatchObject({
      code: "media_too_large",
      status: 413,
      message: `image is larger than ${limitBytes} bytes, the most that is taken here.`,
    });
  });

  it("and one of exactly the limit passes", async () => {
    await using here = await shop();
    const context = here.context({ limitBytes: PNG.length });
    expect((await intake({ image: PNG.toString("base64") }, SCHEMA, context)).hasFiles).toBe(true);
  });
});

it("a file of this server that has expired is gone, although no sweep has come by yet", async () => {
  await using here = await shop();
  const [asset, old] = [newBlobKey(`u-${newId()}`, 0, "png"), newBlobKey(newId(), 1, "png")];
  for (const key of [asset, old]) await here.blobs.put(key, { bytes: PNG });
  for (const key of [asset, old]) {
    const input = { image: `http://localhost:8787/files/${key}` };
    const refused = intake(input, SCHEMA, here.context({ expired: async (named) => named === key }));
    await expect(refused).rejects.toThrow("image names a file of this server that is not there");
    expect((await intake(input, SCHEMA, here.context())).hasFiles).toBe(true);
  }
});

it("nothing is left of a request whose second medium is bad", async () => {
  await using here = await shop();
  const input = { image_input: [PNG.toString("base64"), MP4.toString("base64")] };
  await expect(intake(input, SCHEMA, here.context())).rejects.toThrow("image_input[1] must be image/*, got video/mp4.");
  for await (const id of here.blobs.list("")) expect.unreachable(`${id} was left behind`);
});

it("a disk that cannot be written answers that nothing was accepted", async () => {
  await using here = await shop();
  const staging = join(here.directory, "files", ".staging");
  await rm(staging, { recursive: true });
  await writeFile(staging, "a file where the directory should be");
  await expect(intake({ image: PNG.toString("base64") }, SCHEMA, here.context())).rejects.toMatchObject({
    code: "store_unavailable",
    status: 503,
  });
});

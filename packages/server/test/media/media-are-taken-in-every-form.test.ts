import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newBlobKey } from "../../src/blob/key.ts";
import { intake } from "../../src/media/intake.ts";
import { bytesOf, GIF, MP4, newId, PNG, SCHEMA, shop } from "./samples.ts";

const base64 = PNG.toString("base64");

it.each([
  ["a data URI", `data:image/png;base64,${base64}`],
  ["a data URI in capitals, with parameters", `DATA:image/png;name=a.png;charset=utf-8;BASE64,${base64}`],
  ["a data URI with a wrong type or none, for the bytes tell", `data:;base64,${base64}`],
  ["a data URI whose base64 is percent-encoded", `data:image/png;base64,${encodeURIComponent(base64)}`],
  [
    "a percent-encoded data URI",
    `data:image/png,${[...PNG].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")}`,
  ],
  ["bare base64", base64],
  ["base64 without padding", base64.replace(/=+$/, "")],
  ["URL-safe base64", PNG.toString("base64url")],
  ["base64 in lines", base64.replace(/.{20}/g, "$&\r\n")],
])("%s becomes a file of the request", async (_form, image) => {
  await using here = await shop();
  const { input, hasFiles } = await intake({ image, prompt: "as it is" }, SCHEMA, here.context());
  const name = expect.stringMatching(new RegExp(`^${here.id}/0/[0-9a-f]{32}\\.png$`));
  expect(input).toEqual({
    image: { $media: { key: name, contentType: "image/png", size: PNG.length } },
    prompt: "as it is",
  });
  expect(hasFiles).toBe(true);
  expect(await bytesOf(here.blobs, keyOf(input["image"]))).toEqual(PNG);
});

it("files of a form are taken where the text that stands for them stands, from memory or by path", async () => {
  await using here = await shop();
  const path = join(here.directory, "part");
  await writeFile(path, GIF);
  const uploads = new Map([
    ["multipart:0", { bytes: PNG }],
    ["multipart:1", { path, size: GIF.length }],
  ]);
  const fields = { image: "multipart:0", image_input: ["data:,%FF%D8%FF", "multipart:1"] };
  const { input } = await intake(fields, SCHEMA, here.context({ uploads }));
  const list = input["image_input"] as unknown[];
  expect(await bytesOf(here.blobs, keyOf(input["image"]))).toEqual(PNG);
  expect(keyOf(list[0])).toMatch(/\.jpg$/);
  expect(await bytesOf(here.blobs, keyOf(list[1]))).toEqual(GIF);
});

it.each([
  "http://api.example:8080",
  "https://inferq.example",
  "http://127.0.0.1:8787",
  "http://localhost:8787",
  "http://[::1]:8787",
])("this server's own file at %s is taken without HTTP, and outlives the request that made it", async (base) => {
  await using here = await shop();
  const made = newBlobKey(newId(), 1, "png");
  await here.blobs.put(made, { bytes: PNG });
  const { input } = await intake({ image: `${base}/files/${made}?download` }, SCHEMA, here.context());
  await here.blobs.deletePrefix(`${made.split("/")[0]}/`);
  expect(keyOf(input["image"]).startsWith(`${here.id}/0/`)).toBe(true);
  expect(await bytesOf(here.blobs, keyOf(input["image"]))).toEqual(PNG);
});

it("a URL elsewhere is left to the worker", async () => {
  await using here = await shop();
  const url = "https://pictures.example/a%20cat.png?size=1";
  const { input, hasFiles } = await intake({ image: url }, SCHEMA, here.context());
  expect(input).toEqual({ image: { $media: { url } } });
  expect(hasFiles).toBe(false);
});

it("each field takes its own kind", async () => {
  await using here = await shop();
  const { input } = await intake({ video: MP4.toString("base64") }, SCHEMA, here.context());
  expect(input["video"]).toMatchObject({ $media: { contentType: "video/mp4" } });
});

it("an input without media is left as it is", async () => {
  await using here = await shop();
  const taken = await intake({ prompt: `data:image/png;base64,${base64}` }, SCHEMA, here.context());
  expect(taken).toEqual({ input: { prompt: `data:image/png;base64,${base64}` }, hasFiles: false });
});

function keyOf(value: unknown): string {
  return (value as { $media: { key: string } }).$media.key;
}

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { intake } from "../../src/media/intake.ts";
import { materialize } from "../../src/media/materialize.ts";
import type { MaterializeContext } from "../../src/media/materialize.ts";
import type { MediaFile } from "../../src/model/model.ts";
import { guardedFetch } from "../../src/net/guard.ts";
import { originThat } from "../net/origin.ts";
import { GIF, MP4, PNG, SCHEMA, shop } from "./samples.ts";
import type { Shop } from "./samples.ts";

function attempt(here: Shop, wishes: Partial<MaterializeContext> = {}): MaterializeContext {
  return {
    directory: join(here.directory, "attempt"),
    blobs: here.blobs,
    fetcher: guardedFetch({ allowPrivate: true, timeoutMs: 10_000 }),
    limitBytes: 1_000_000,
    signal: new AbortController().signal,
    ...wishes,
  };
}

it("a file taken in at submit is read where it lies", async () => {
  await using here = await shop();
  const { input } = await intake({ image: PNG.toString("base64"), prompt: "a cat" }, SCHEMA, here.context());
  const ready = await materialize(JSON.parse(JSON.stringify(input)), SCHEMA, attempt(here));
  expect(ready).toEqual({
    image: { path: expect.any(String), contentType: "image/png", size: PNG.length },
    prompt: "a cat",
  });
  expect(await readFile((ready["image"] as MediaFile).path)).toEqual(PNG);
});

it("URLs are fetched into the attempt's directory, and their bytes tell the type", async () => {
  await using here = await shop();
  await using origin = await originThat((request, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream" }).end(request.url === "/a" ? PNG : GIF);
  });
  const stored = { image_input: [`${origin.url}/a`, `${origin.url}/b`].map((url) => ({ $media: { url } })) };
  const { image_input: files } = await materialize(stored, SCHEMA, attempt(here));
  const [first, second] = files as MediaFile[];
  expect(first).toMatchObject({ contentType: "image/png", size: PNG.length });
  expect(second).toMatchObject({ contentType: "image/gif", size: GIF.length });
  expect(await readFile(second!.path)).toEqual(GIF);
  expect(second!.path).toMatch(new RegExp(`^${join(here.directory, "attempt")}/input-[0-9a-f]{32}\\.gif$`));
  expect(await readdir(join(here.directory, "attempt"))).toHaveLength(2);
});

describe("a request fails with a sentence on the field when", () => {
  it("the address is private", async () => {
    await using here = await shop();
    await using origin = await originThat((_request, response) => response.end(PNG));
    const fetcher = guardedFetch({ allowPrivate: false, timeoutMs: 10_000 });
    const failing = materialize({ image: { $media: { url: origin.url } } }, SCHEMA, attempt(here, { fetcher }));
    await expect(failing).rejects.toMatchObject({
      code: "input_blocked",
      message: `image may not be fetched from 127.0.0.1:${origin.port}: 127.0.0.1 is a loopback address.`,
    });
    expect(origin.hits()).toBe(0);
  });

  it("the other side answers an error", async () => {
    await using here = await shop();
    await using origin = await originThat((_request, response) => response.writeHead(503).end());
    await expect(materialize({ image: { $media: { url: origin.url } } }, SCHEMA, attempt(here))).rejects.toMatchObject({
      code: "input_unreachable",
      message: `image could not be fetched: 127.0.0.1:${origin.port} answered 503.`,
    });
  });

  it("what comes is something else", async () => {
    await using here = await shop();
    await using origin = await originThat((_request, response) => response.end(MP4));
    await expect(materialize({ image: { $media: { url: origin.url } } }, SCHEMA, attempt(here))).rejects.toMatchObject({
      code: "invalid_input",
      message: "image must be image/*, got video/mp4.",
    });
  });

  it("what comes is empty", async () => {
    await using here = await shop();
    await using origin = await originThat((_request, response) => response.end());
    await expect(materialize({ image: { $media: { url: origin.url } } }, SCHEMA, attempt(here))).rejects.toMatchObject({
      code: "input_unreachable",
      message: "image could not be fetched: what came is empty.",
    });
  });

  it("what comes is too large", async () => {
    await using here = await shop();
    await using origin = await originThat((_request, response) => {
      response.write(PNG);
      response.end(Buffer.alloc(2_000));
    });
    const failing = materialize(
      { image: { $media: { url: origin.url } } },
      SCHEMA,
      attempt(here, { limitBytes: 1_000 }),
    );
    await expect(failing).rejects.toMatchObject({
      code: "media_too_large",
      message: "image is larger than 1000 bytes, the most that is taken here.",
    });
  });

  it("its stored file has been deleted", async () => {
    await using here = await shop();
    const { input } = await intake({ image: PNG.toString("base64") }, SCHEMA, here.context());
    await here.blobs.deletePrefix(`${here.id}/`);
    await expect(materialize(input, SCHEMA, attempt(here))).rejects.toMatchObject({
      code: "input_unreachable",
      message: "image could not be fetched: its file has been deleted.",
    });
  });
});

it("an abort during the fetch ends it with the abort's own reason", async () => {
  await using here = await shop();
  const asked = Promise.withResolvers<void>();
  await using origin = await originThat(() => asked.resolve());
  const stop = new AbortController();
  const running = materialize(
    { image: { $media: { url: origin.url } } },
    SCHEMA,
    attempt(here, { signal: stop.signal }),
  );
  await asked.promise;
  stop.abort(new Error("lease lost"));
  await expect(running).rejects.toThrow("lease lost");
});

import { writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import type { Result } from "../../src/core/request.ts";
import type { ModelOutput, RunContext } from "../../src/model/model.ts";
import mock from "../../src/model/mock-inference/model.ts";
import { PNG } from "../media/samples.ts";
import { finished, modelOf, openWorker, type Opened } from "./open.ts";

it("an image: its file, typed and measured, with the seed used and the prompt", async () => {
  await using opened = await openWorker(
    modelOf(async (_, { file }) => ({ output: await write(file("a.png"), "picture"), seed: 99 }), { output: "image" }),
  );
  const { id, result } = await complete(opened, { prompt: "a rose", seed: -1 });
  expect(result).toEqual({
    kind: "image",
    files: [{ key: expect.any(String) as string, contentType: "image/png", size: 7, fileName: "a.png" }],
    seed: "99",
    prompt: "a rose",
  });
  const key = (result as Extract<Result, { kind: "image" }>).files[0]!.key;
  expect(key).toMatch(new RegExp(`^${id}/1/[0-9a-f]{32}\\.png$`));
  expect(await text((await opened.blobs.get(key))!)).toBe("picture");
});

it("an image without a seed of the model's echoes that of the input, and nothing that neither has", async () => {
  await using opened = await openWorker(
    modelOf(async (_, { file }) => [await write(file("a.png"), "1"), await write(file("b.webp"), "2")], {
      output: "image",
    }),
  );
  expect((await complete(opened, { seed: 5 })).result).toMatchObject({ seed: "5" });
  const { result } = await complete(opened, {});
  expect(Object.keys(result)).toEqual(["kind", "files"]);
  expect(result).toMatchObject({ files: [{ contentType: "image/png" }, { contentType: "image/webp" }] });
});

it.each([
  ["video", "output.mp4", "video/mp4"],
  ["audio", "speech.wav", "audio/wav"],
] as const)("%s: one file", async (output, name, contentType) => {
  await using opened = await openWorker(modelOf((_, { file }) => write(file(name), "bytes"), { output }));
  const { result } = await complete(opened);
  expect(result).toMatchObject({ kind: output, file: { contentType, size: 5, fileName: name } });
});

it("a text, and the reasoning beside it", async () => {
  await using opened = await openWorker(modelOf((input: { reasoning?: string }) => ({ output: "Yes.", ...input })));
  expect((await complete(opened)).result).toEqual({ kind: "text", text: "Yes.", reasoning: null });
  expect((await complete(opened, { reasoning: "Because." })).result).toMatchObject({ reasoning: "Because." });
  expect(await opened.files()).toEqual([]);
});

it("a text of more than 64 KB is a file", async () => {
  const long = "é".repeat(40_000);
  await using opened = await openWorker(modelOf(() => long));
  const { result } = await complete(opened);
  const file = (result as Extract<Result, { kind: "text" }>).text as Exclude<
    Extract<Result, { kind: "text" }>["text"],
    string
  >;
  expect(file).toMatchObject({ contentType: "text/plain; charset=utf-8", size: 80_000, fileName: "output.txt" });
  expect(await text((await opened.blobs.get(file.key))!)).toBe(long);
});

it("a file is known by its bytes where its name tells nothing", async () => {
  await using opened = await openWorker(modelOf((_, { file }) => write(file("out"), PNG), { output: "image" }));
  const { result } = await complete(opened);
  expect(result).toMatchObject({
    files: [{ key: expect.stringMatching(/\.png$/) as string, contentType: "image/png" }],
  });
});

const wrong: readonly [string, "image" | "video" | "text", (context: RunContext<unknown>) => unknown, string][] = [
  ["a text where an image was expected", "image", () => "text", "a file was expected, a value of type string came"],
  ["nothing", "text", () => undefined, "a text was expected, nothing came"],
  ["a file never written", "image", ({ file }) => file("a.png"), "a.png was not written"],
  ["an empty file", "image", ({ file }) => write(file("a.png"), ""), "a.png is empty"],
  [
    "a file from elsewhere",
    "image",
    () => ({ path: "/etc/hostname" }),
    "hostname lies outside the attempt's directory",
  ],
  ["another kind of file", "video", ({ file }) => write(file("a.png"), "x"), "a.png is text/plain, expected video/*"],
  ["two videos", "video", ({ file }) => [file("a.mp4"), file("b.mp4")], "one video file was expected, 2 files came"],
];
it.each(wrong)("%s is refused with a sentence", async (_, output, run, detail) => {
  await using opened = await openWorker(modelOf(async (_, context) => (await run(context)) as ModelOutput, { output }));
  const { until, submit } = opened;
  const request = await until(await submit(), finished);
  expect(request.failure).toEqual({
    code: "bad_output",
    message: expect.stringContaining(detail) as string,
  });
  await opened.worker.stop();
  expect(await opened.files()).toEqual([]);
  expect(await opened.working()).toEqual([]);
});

it.each(["EACCES", "ELOOP"])("a file that only its model may open is refused: %s", async (code) => {
  await using opened = await openWorker(
    modelOf((_, { file }) => write(file("a.png"), "picture"), { output: "image" }),
    {
      wrapBlobs: (blobs) => ({
        ...blobs,
        put: async (key, source) => {
          if (!("path" in source)) return await blobs.put(key, source);
          throw Object.assign(new Error(code), { code, syscall: "open", path: source.path });
        },
      }),
    },
  );
  const request = await opened.until(await opened.submit(), finished);
  expect(request.failure).toEqual({
    code: "bad_output",
    message: expect.stringContaining(`a.png cannot be opened (${code})`) as string,
  });
});

it("mock-inference answers with what its input asks for, and leaves nothing in its working directory", async () => {
  await using opened = await openWorker(mock);
  const input = { sleep: 0, fail: false, crash: false };
  expect((await complete(opened, { ...input, kind: "image" })).result.kind).toBe("image");
  expect((await complete(opened, { ...input, kind: "video" })).result.kind).toBe("video");
  expect((await complete(opened, { ...input, kind: "text" })).result.kind).toBe("text");
  await opened.worker.stop();
  expect(await opened.working()).toEqual([]);
});

async function complete({ submit, until }: Opened, input: object = {}): Promise<{ id: string; result: Result }> {
  const request = await until(await submit(input), finished);
  expect(request.failure).toBeNull();
  return { id: request.id, result: request.result! };
}

async function write(
  file: { readonly path: string },
  content: string | Uint8Array,
): Promise<{ readonly path: string }> {
  await writeFile(file.path, content);
  return file;
}

/** What the descriptions of the shipped models promise, against what the server lets through to them. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import anime from "../src/anime4k-x2/model.ts";
import film from "../src/anime4k-video-x2/model.ts";
import matte from "../src/person-matte/model.ts";
import ocr from "../src/ocr/model.ts";
import { packagedFfmpeg } from "../src/lib/ffmpeg.ts";
import { checkType, mediaFields, sniff } from "../../server/src/media/media.ts";
import type { ModelDefinition } from "../../server/src/model/model.ts";

const PICTURES = ["JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF"] as const;
const FILMS = { MP4: "mp4", MOV: "mov", WebM: "webm", Matroska: "mkv", AVI: "avi", GIF: "gif" };

test.each(PICTURES)("pictures: %s", async (format) => {
  const { default: sharp } = await import("sharp");
  // Larger than what is sniffed: a TIFF has its directory at the end.
  const bytes = await sharp(randomBytes(120 * 100 * 3), { raw: { width: 120, height: 100, channels: 3 } })
    .tiff({ compression: "none" })
    .toFormat(format.toLowerCase() as Lowercase<typeof format>)
    .toBuffer();
  for (const model of [anime, matte, ocr]) await passes(model, "image", format, bytes);
});

test.each(Object.entries(FILMS))("films: %s", async (format, extension) => {
  const directory = await mkdtemp(join(tmpdir(), "inferq-test-"));
  try {
    const path = join(directory, `film.${extension}`);
    const motion = ["-f", "lavfi", "-i", "testsrc=size=16x16:rate=5:duration=0.4"];
    await promisify(execFile)((await packagedFfmpeg()).path, ["-loglevel", "error", ...motion, path]);
    await passes(film, "video", format, await readFile(path));
  } finally {
    await rm(directory, { recursive: true });
  }
});

async function passes(
  model: Pick<ModelDefinition, "input">,
  name: string,
  format: string,
  bytes: Uint8Array,
): Promise<void> {
  expect(JSON.stringify(model.input)).toContain(format);
  checkType(name, mediaFields(model.input).get(name)!.accept, await sniff(bytes));
}

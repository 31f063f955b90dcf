import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidInput } from "inferq/model";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import ocr, { type Session } from "../src/ocr/model.ts";
import { inReadingOrder, type Piece } from "../src/ocr/reading-order.ts";
import { mediaFile, runModel, type ModelRun } from "./run-model.ts";

/** A page rendered once with a system font (a machine may have none), and what stands on it. */
const PAGE = fileURLToPath(new URL("fixtures/ocr/page.png", import.meta.url));
const TEXT = fileURLToPath(new URL("fixtures/ocr/page.txt", import.meta.url));
const FIRST_LINES = { left: 0, top: 0, width: 560, height: 180 };

let session: Session;
let directory: string;
beforeAll(async () => {
  if (ocr.setup === undefined) throw new Error("expected a setup");
  session = await ocr.setup();
  directory = await mkdtemp(join(tmpdir(), "inferq-ocr-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function read(path: string, limits?: Parameters<typeof runModel>[3]): Promise<ModelRun & { text: string }> {
  const run = await runModel(ocr, session, { image: await mediaFile(path, "image/png") }, limits);
  if (typeof run.output !== "string") throw new Error("expected a text");
  return { ...run, text: run.output };
}

async function save(image: Sharp, name: string): Promise<string> {
  const path = join(directory, name);
  await image.toFile(path);
  return path;
}

describe("ocr", () => {
  test("reads a page line by line, at least 95 of 100 characters right, and tells how far it is", async () => {
    const expected = (await readFile(TEXT, "utf8")).trim();
    const { text, progress } = await read(PAGE);
    expect(text.split("\n")).toHaveLength(expected.split("\n").length);
    expect(1 - distance(text, expected) / expected.length).toBeGreaterThanOrEqual(0.95);
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  });

  test("reads a photo that EXIF says lies on its side", async () => {
    const onItsSide = await sharp(PAGE).toColourspace("srgb").extract(FIRST_LINES).rotate(-90).png().toBuffer();
    const path = await save(sharp(onItsSide).jpeg({ quality: 95 }).withMetadata({ orientation: 6 }), "exif.jpg");
    expect((await sharp(path).metadata()).orientation).toBe(6);
    expect((await read(path)).text).toMatch(/^The quick brown fox\nInvoice/);
  });

  test("reads a page that is turned by a quarter, or aslant", async () => {
    const lines = await sharp(PAGE).toColourspace("srgb").extract(FIRST_LINES).png().toBuffer();
    for (const angle of [90, 270, 9]) {
      const path = await save(sharp(lines).rotate(angle, { background: "#ffffff" }), `turned-${angle}.png`);
      expect((await read(path)).text).toMatch(/^The quick brown fox\nInvoice/);
    }
  });

  test("takes what is transparent for paper", async () => {
    const inkOnNothing = sharp(PAGE).toColourspace("srgb").extract(FIRST_LINES).greyscale().negate().raw();
    const { data: ink, info } = await inkOnNothing.toBuffer({ resolveWithObject: true });
    const black = sharp({ create: { width: info.width, height: info.height, channels: 3, background: "#000000" } });
    const path = await save(
      black.joinChannel(ink, { raw: { width: info.width, height: info.height, channels: info.channels } }),
      "transparent.png",
    );
    expect((await sharp(path).metadata()).hasAlpha).toBe(true);
    expect((await read(path)).text).toMatch(/^The quick brown fox\nInvoice/);
  });

  test("gives an empty text for a picture without any", async () => {
    const path = await save(
      sharp({ create: { width: 200, height: 120, channels: 3, background: "#8899aa" } }),
      "plain.png",
    );
    expect((await read(path)).text).toBe("");
  });

  test("refuses what is no picture, and more than 40 megapixels, before it decodes them", async () => {
    await expect(read(TEXT)).rejects.toThrow(InvalidInput);
    const huge = sharp({ create: { width: 8001, height: 5000, channels: 3, background: "#ffffff" } });
    const path = await save(huge.png({ compressionLevel: 1 }), "huge.png");
    await expect(read(path)).rejects.toThrow(/at most 40\.0 megapixels, got 8001 × 5000/);
  });

  test("stops when the request is cancelled", async () => {
    const cancelled = AbortSignal.abort(new Error("cancelled by the client"));
    await expect(read(PAGE, { signal: cancelled })).rejects.toThrow("cancelled by the client");
  });
});

describe("reading order", () => {
  const piece = (text: string, x: number, y: number, width: number): Piece => ({
    text,
    box: { centre: [x + width / 2, y], width, height: 20, angle: 0 },
  });

  test("joins what stands side by side: a receipt's prices stay with their goods", () => {
    const receipt = [
      piece("$3", 400, 12, 40),
      piece("Milk", 0, 10, 80),
      piece("Bread", 0, 40, 90),
      piece("$4", 400, 41, 40),
      piece("Total", 0, 70, 90),
      piece("$7", 400, 70, 40),
    ];
    expect(inReadingOrder(receipt)).toBe("Milk $3\nBread $4\nTotal $7");
  });

  test("reads columns of prose one after the other, under the title they share", () => {
    const rows = [0, 1, 2].flatMap((row) => [
      piece(`left ${row}`, 0, 60 + 30 * row, 300),
      piece(`right ${row}`, 340, 60 + 30 * row, 300),
    ]);
    expect(inReadingOrder([...rows, piece("title", 100, 10, 450)])).toBe(
      "title\nleft 0\nleft 1\nleft 2\nright 0\nright 1\nright 2",
    );
  });
});

/** Letters to insert, delete or change to make one text of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

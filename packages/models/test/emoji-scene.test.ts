import { readFile } from "node:fs/promises";
import { InvalidInput, type ModelOutput } from "inferq/model";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { BACKDROPS } from "../src/emoji-scene/backgrounds/index.ts";
import emojiScene, { type Session } from "../src/emoji-scene/model.ts";
import { paint } from "../src/emoji-scene/paint.ts";
import { chooseScene } from "../src/emoji-scene/scene.ts";
import { chooseSubjects, unknownPhrases } from "../src/emoji-scene/subjects.ts";
import { ALIASES, readPrompt } from "../src/emoji-scene/words.ts";
import { similarity } from "../src/lib/embeddings.ts";
import { runModel } from "./run-model.ts";

let session: Session;
beforeAll(async () => {
  if (emojiScene.setup === undefined) throw new Error("expected a setup");
  session = await emojiScene.setup();
});

/** What the model decides before it paints. */
async function understand(prompt: string): Promise<string> {
  const { logs } = await runModel(emojiScene, session, { prompt, seed: 1 });
  return logs.at(-1) ?? "";
}

async function picture(input: object): Promise<{ bytes: Buffer; seed: number | undefined }> {
  const { output } = await runModel(emojiScene, session, { ...input });
  const { path, seed } = withSeed(output);
  return { bytes: await readFile(path), seed };
}

function withSeed(output: ModelOutput): { path: string; seed: number | undefined } {
  if (typeof output !== "object" || !("output" in output)) throw new Error("expected an output with a seed");
  const file = output.output;
  if (typeof file !== "object" || !("path" in file)) throw new Error("expected one file");
  return { path: file.path, seed: output.seed };
}

/** How much more blue than red the middle of a picture is. */
async function blueness(prompt: string): Promise<number> {
  const { bytes } = await picture({ prompt, seed: 5 });
  const { channels } = await sharp(bytes).extract({ left: 400, top: 500, width: 220, height: 220 }).stats();
  return (channels[2]?.mean ?? 0) - (channels[0]?.mean ?? 0);
}

describe("a picture", () => {
  test.each([
    ["1:1", 1024, 1024],
    ["16:9", 1024, 576],
    ["9:16", 576, 1024],
    ["21:9", 1024, 440],
  ])("in %s is a JPEG of %i × %i", async (ratio, width, height) => {
    const { bytes } = await picture({ prompt: "a red rose on a wooden table, studio lighting", aspect_ratio: ratio });
    expect(await sharp(bytes).metadata()).toMatchObject({ format: "jpeg", width, height });
  });

  test("is the same for the same prompt, ratio and seed, and another for another seed", async () => {
    const input = { prompt: "a fox in the forest", aspect_ratio: "3:2", seed: 42 };
    const { bytes } = await picture(input);
    expect((await picture(input)).bytes.equals(bytes)).toBe(true);
    expect((await picture({ ...input, seed: 43 })).bytes.equals(bytes)).toBe(false);
  });

  test("tells the seed it used, also when it took a random one", async () => {
    expect((await picture({ prompt: "a fox", seed: 42 })).seed).toBe(42);
    const first = await picture({ prompt: "a fox", seed: -1 });
    const second = await picture({ prompt: "a fox" });
    expect(first.seed).toBeGreaterThanOrEqual(0);
    expect(first.seed).not.toBe(second.seed);
    expect((await picture({ prompt: "a fox", seed: first.seed })).bytes.equals(first.bytes)).toBe(true);
  });

  test("shows what the prompt names, where it says", async () => {
    for (const [prompt, understood] of [
      ["a red rose on a wooden table, studio lighting", "table, studio: rose"],
      ["a beautiful sunset", "sea, sunset: the place alone"],
      ["three penguins on a snowy mountain", "snow, day: 3 × penguin"],
      ["a rocket over the city at night", "city, night: rocket"],
      ["a whale and tropical fish in the ocean", "underwater, day: whale, tropical-fish"],
      ["cyberpunk samurai portrait", "city, night: ninja"],
      ["a kitten", "meadow, day: cat"],
      ["🚀🌵", "space, day: rocket, cactus"],
    ]) {
      expect(await understand(prompt ?? "")).toBe(understood);
    }
  });

  test("is never empty: a prompt that names no thing gets the nearest icon, or the place and what belongs there", async () => {
    expect(await understand("quantum entanglement")).toMatch(/: [a-z-]+$/);
    const { logs } = await runModel(emojiScene, session, { prompt: "一只猫", seed: 1 });
    expect(logs.join()).toContain("no English word");
    const { bytes } = await picture({ prompt: "一只猫", seed: 1 });
    expect(bytes.length).toBeGreaterThan(20_000);
  });

  test("paints a thing in the colour that the prompt says", async () => {
    expect(await blueness("a blue elephant on the beach")).toBeGreaterThan(
      (await blueness("a red elephant on the beach")) + 50,
    );
  });

  test("of a prompt of white space is refused, and a cancelled request stops", async () => {
    await expect(runModel(emojiScene, session, { prompt: " \n " })).rejects.toThrow(InvalidInput);
    const cancelled = AbortSignal.abort(new Error("cancelled by the client"));
    await expect(runModel(emojiScene, session, { prompt: "a fox" }, { signal: cancelled })).rejects.toThrow(
      "cancelled by the client",
    );
  });

  test("of the longest prompt comes within the time of a short one and some", async () => {
    const words = "zyx wvu tsr qpo nml kji hgf ".repeat(70).slice(0, 2000);
    let embedded = 0;
    const counting = {
      embed: (texts: readonly string[]) => {
        embedded += texts.length;
        return session.embeddings.embed(texts);
      },
    };
    await runModel(emojiScene, { ...session, embeddings: counting }, { prompt: words, seed: 1 });
    expect(embedded).toBeLessThanOrEqual(41);
  });
});

test("no word of a prompt reaches the SVG", async () => {
  const prompt = `a cat</svg><script>alert(1)</script> "onload=x &lt;image href='file:///etc/passwd'/>`;
  const reading = readPrompt(prompt);
  const phrases = unknownPhrases(reading, session.icons);
  const vectors = await session.embeddings.embed(phrases);
  const subjects = chooseSubjects(reading, session.icons, new Map(phrases.map((phrase, i) => [phrase, vectors[i]!])));
  const scene = chooseScene(reading, subjects, undefined, session.places);
  const svg = paint({ width: 1024, height: 1024, seed: 1, scene, subjects }, session.icons);
  for (const word of ["script", "alert", "onload", "passwd", "file:", "<image"]) expect(svg).not.toContain(word);
});

describe("the tables", () => {
  test("name only icons that are there", () => {
    const named = [...ALIASES.values(), ...Object.values(BACKDROPS).flatMap(({ decor }) => decor)];
    expect(named.filter((name) => session.icons.get(name) === undefined)).toEqual([]);
  });

  test("of embeddings are what the script makes: the bytes hold the same directions", async () => {
    const sample = session.icons.all.filter((_, index) => index % 40 === 0);
    const fresh = await session.embeddings.embed(sample.map(({ phrase }) => phrase));
    const cosines = sample.map(({ embedding }, i) => similarity(embedding, fresh[i]!) / Math.hypot(...embedding));
    expect(sample.length).toBeGreaterThan(20);
    expect(Math.min(...cosines)).toBeGreaterThan(0.99);
  });
});

import { InvalidInput, type ModelOutput } from "inferq/model";
import { beforeAll, describe, expect, test } from "vitest";
import { loadEmbeddings, type Embeddings } from "../src/lib/embeddings.ts";
import textSummary from "../src/text-summary/model.ts";
import { splitSentences } from "../src/text-summary/sentences.ts";
import { runModel } from "./run-model.ts";

const TELESCOPE = `The James Webb Space Telescope is a space telescope designed to conduct infrared astronomy. As the largest telescope in space, it is equipped with high-resolution and high-sensitivity instruments, allowing it to view objects too old, distant, or faint for the Hubble Space Telescope. The telescope was launched on 25 December 2021 on an Ariane 5 rocket from Kourou, French Guiana. It arrived at the Sun-Earth L2 Lagrange point in January 2022. The first image was released to the public via a press conference on 11 July 2022. Its primary mirror consists of 18 hexagonal mirror segments made of gold-plated beryllium, which together create a 6.5-meter-diameter mirror. The telescope must be kept extremely cold, below 50 kelvin, so that the infrared light emitted by the telescope itself does not interfere with the collected light. Its five-layer sunshield protects it from warming by the Sun, Earth, and Moon. Northrop Grumman was the main contractor. The cost was about ten billion dollars.`;

let session: Embeddings;
beforeAll(async () => {
  session = await loadEmbeddings();
});

function textOf(output: ModelOutput): string {
  if (typeof output !== "string") throw new Error("expected a text");
  return output;
}

async function summarise(text: string, sentences?: number): Promise<string> {
  const { output } = await runModel(textSummary, session, { text, ...(sentences === undefined ? {} : { sentences }) });
  return textOf(output);
}

describe("a summary", () => {
  test("keeps as many sentences as asked, word for word, in their order, and three when nothing is asked", async () => {
    const all = splitSentences(TELESCOPE);
    for (const [asked, expected] of [
      [1, 1],
      [4, 4],
      [undefined, 3],
    ] as const) {
      const kept = splitSentences(await summarise(TELESCOPE, asked));
      expect(kept).toHaveLength(expected);
      const positions = kept.map((sentence) => all.indexOf(sentence));
      expect(positions).not.toContain(-1);
      expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    }
  });

  test("says what the text is about, not its asides", async () => {
    const summary = await summarise(
      "Bees pollinate most of the fruit that people eat. My neighbour owns a red bicycle. " +
        "When bee colonies die, apple and almond growers lose much of their harvest. " +
        "It was raining on Tuesday. Farmers therefore rent beehives to pollinate their orchards. " +
        "Protecting bees protects our food.",
      2,
    );
    expect(summary).toMatch(/[Bb]ee/);
    expect(summary).not.toContain("bicycle");
    expect(summary).not.toContain("Tuesday");
  });

  test("does not say the same thing twice", async () => {
    const twice = "The city council approved the new bridge on Monday.";
    const summary = await summarise(
      `${twice} ${twice} Work on the bridge will cost ninety million and take four years. Ferries will run until the bridge is open.`,
      2,
    );
    expect(splitSentences(summary).filter((sentence) => sentence === twice).length).toBeLessThan(2);
  });

  test("has no sentence twice, however often the text repeats it", async () => {
    const footer = "All rights are reserved by the owners of this page. ".repeat(300);
    const text = `${footer}The cat sat on the warm mat all day. ${footer}A dog ran far away over the green hills.`;
    expect(splitSentences(await summarise(text, 3))).toEqual([
      "All rights are reserved by the owners of this page.",
      "The cat sat on the warm mat all day.",
      "A dog ran far away over the green hills.",
    ]);
  });

  test("is the same every time", async () => {
    expect(await summarise(TELESCOPE, 3)).toBe(await summarise(TELESCOPE, 3));
  });

  test("of a text with fewer sentences than asked is the whole text", async () => {
    expect(await summarise("One fish swims.\nTwo fish swim.", 5)).toBe("One fish swims. Two fish swim.");
  });

  test("of a long text comes from all of it, with a bounded number of sentences compared", async () => {
    const filler = Array.from({ length: 1500 }, (_, i) => `Item ${i} of the list was counted by clerk number ${i}.`);
    filler.splice(1200, 0, "The clerk counted every item of the list and found that one item was missing.");
    let embedded = 0;
    const counting: Embeddings = {
      embed(texts) {
        embedded += texts.length;
        return Promise.resolve(texts.map((text) => Float32Array.of(text.length % 7, 1)));
      },
    };
    const { output } = await runModel(textSummary, counting, { text: filler.join(" "), sentences: 2 });
    expect(splitSentences(textOf(output))).toHaveLength(2);
    expect(embedded).toBe(200);
  });

  test("works in a script that the encoder does not know", async () => {
    const text =
      "富士山は日本で一番高い山です。富士山の高さは3776メートルです。昨日は雨が降りました。多くの人が夏に富士山に登ります。富士山は世界遺産です。";
    const summary = await summarise(text, 2);
    expect(splitSentences(summary)).toHaveLength(2);
    expect(summary).not.toContain("雨");
    expect(summary).not.toContain(" ");
  });

  test("of a text without words is refused with a sentence that says so", async () => {
    for (const text of ["?!… 123 — 456.", "   \n\t ", "🎉🎉🎉"]) {
      const refusal = summarise(text);
      await expect(refusal).rejects.toThrow(InvalidInput);
      await expect(refusal).rejects.toThrow("without words");
    }
  });

  test("tells how far it is, and stops when the request is cancelled", async () => {
    const text = Array.from({ length: 24 }, (_, i) => `Star ${i} shines over the sea tonight.`).join(" ");
    const { progress } = await runModel(textSummary, session, { text });
    expect(progress.at(-1)).toBe(1);
    expect(progress.length).toBeGreaterThan(1);

    const cancelled = new AbortController();
    cancelled.abort(new Error("cancelled by the client"));
    await expect(runModel(textSummary, session, { text }, { signal: cancelled.signal })).rejects.toThrow(
      "cancelled by the client",
    );
  });
});

describe("a text is cut into sentences", () => {
  test.each([
    ["It has a 6.5-meter mirror. It is gold.", ["It has a 6.5-meter mirror.", "It is gold."]],
    ["Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones.", "They spoke."]],
    ["J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]],
    [
      "He joined the U.S. Army in May. He left the U.S. The war was over.",
      ["He joined the U.S. Army in May.", "He left the U.S.", "The war was over."],
    ],
    ["See Fig. 3 and No. 7. Then stop.", ["See Fig. 3 and No. 7.", "Then stop."]],
    ["Pay by Jan. 5, e.g. by card.", ["Pay by Jan. 5, e.g. by card."]],
    ["“Is it?” she asked. “It is!”", ["“Is it?” she asked.", "“It is!”"]],
    [
      "A line that was\nwrapped by hand.\n\nA heading\n\nMore.",
      ["A line that was wrapped by hand.", "A heading", "More."],
    ],
    ["Bring:\n- bread\n- milk", ["Bring:", "- bread", "- milk"]],
    ["今日は\n晴れです。散歩しました。", ["今日は晴れです。", "散歩しました。"]],
  ])("%j", (text, sentences) => {
    expect(splitSentences(text)).toEqual(sentences);
  });
});

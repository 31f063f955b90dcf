/**
 * Extractive summary: the sentences of a text that best stand for the whole, in their order, word for word.
 *
 * @module
 */
import { defineModel, InvalidInput, type RunContext } from "inferq/model";
import { loadEmbeddings, similarity, type Embeddings } from "../lib/embeddings.ts";
import { pickSentences } from "./rank.ts";
import { splitSentences } from "./sentences.ts";
import { centre, wordSimilarity, wordsOf, wordVectors } from "./words.ts";

interface Input {
  readonly text: string;
  readonly sentences?: number;
}

const DEFAULT_SENTENCES = 3;

/**
 * Sentences compared with each other: 3 to 5 s of embedding on one core. Of a longer text those are
 * kept whose words are nearest to the words of the whole.
 */
const MOST_COMPARED = 200;

interface Candidate {
  readonly sentence: string;
  readonly words: readonly string[];
}

export default defineModel<Embeddings>({
  name: "text-summary",
  output: "text",
  weight: "heavy",
  description: "Extractive summary: the sentences that best stand for a text, word for word and in their order.",
  input: {
    type: "object",
    required: ["text"],
    properties: {
      text: {
        type: "string",
        minLength: 1,
        maxLength: 200_000,
        description: "The text to summarise. English is compared by meaning, other languages by their words.",
      },
      sentences: {
        type: "integer",
        minimum: 1,
        maximum: 20,
        default: DEFAULT_SENTENCES,
        description: "How many sentences to keep. A text with fewer comes back whole.",
      },
    },
  },
  setup: loadEmbeddings,
  async run({ text, sentences: count = DEFAULT_SENTENCES }: Input, context) {
    const sentences = splitSentences(text).map((sentence) => ({ sentence, words: wordsOf(sentence) }));
    const worded = sentences.filter(({ words }) => words.length > 0);
    if (worded.length === 0) {
      throw new InvalidInput("text: expected sentences to choose from, got a text without words");
    }
    if (worded.length <= count) return join(worded);
    const distinct = withoutRepetitions(worded);
    if (distinct.length <= count) return join(distinct);

    const candidates = mostTypical(distinct);
    const wordCounts = candidates.map(({ words }) => words.length);
    const likeness = isMostlyLatin(text) ? await likenessOfMeaning(candidates, context) : likenessOfWords(candidates);
    context.signal.throwIfAborted();
    const picked = pickSentences(likeness, wordCounts, count);
    return join(candidates.filter((_, index) => picked.includes(index)));
  },
});

/** Of sentences that are the same word for word, the first: a page's footer would crowd out what the page is about. */
function withoutRepetitions(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ sentence }) => !seen.has(sentence) && seen.add(sentence));
}

function mostTypical(candidates: readonly Candidate[]): readonly Candidate[] {
  if (candidates.length <= MOST_COMPARED) return candidates;
  const vectors = wordVectors(candidates.map(({ words }) => words));
  const topic = centre(vectors);
  const typical = vectors
    .map((vector, index) => ({ index, nearness: wordSimilarity(vector, topic) }))
    .sort((a, b) => b.nearness - a.nearness || a.index - b.index)
    .slice(0, MOST_COMPARED);
  const kept = new Set(typical.map(({ index }) => index));
  return candidates.filter((_, index) => kept.has(index));
}

async function likenessOfMeaning(
  candidates: readonly Candidate[],
  context: RunContext<Embeddings>,
): Promise<(i: number, j: number) => number> {
  const texts = candidates.map(({ sentence }) => sentence);
  const vectors = await context.session.embed(texts, {
    signal: context.signal,
    onProgress: (fraction) => context.progress(fraction),
  });
  return (i, j) => similarity(vectors[i]!, vectors[j]!);
}

/** The encoder knows English word pieces: in another script all sentences would look the same to it. */
function likenessOfWords(candidates: readonly Candidate[]): (i: number, j: number) => number {
  const vectors = wordVectors(candidates.map(({ words }) => words));
  return (i, j) => wordSimilarity(vectors[i]!, vectors[j]!);
}

function isMostlyLatin(text: string): boolean {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const latin = text.match(/\p{Script=Latin}/gu)?.length ?? 0;
  return latin * 2 >= letters;
}

/** Scripts that put no space after a full stop get none. */
function join(candidates: readonly Candidate[]): string {
  return candidates.reduce((text, { sentence }) => {
    if (text === "") return sentence;
    return /[。！？｡]["”’」』）]*$/u.test(text) ? text + sentence : `${text} ${sentence}`;
  }, "");
}

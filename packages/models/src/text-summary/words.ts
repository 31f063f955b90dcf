/** Sentences as weighted words: the measure of likeness that needs no trained vocabulary, so it works in every script. */

const segmenter = new Intl.Segmenter("en", { granularity: "word" });

/** Words of a sentence in lower case, punctuation and numbers left out. */
export function wordsOf(sentence: string): string[] {
  const words: string[] = [];
  for (const { segment, isWordLike } of segmenter.segment(sentence)) {
    if (isWordLike === true && /\p{L}/u.test(segment)) words.push(segment.toLowerCase());
  }
  return words;
}

export type WordVector = ReadonlyMap<string, number>;

/** One vector of length 1 for each sentence: TF-IDF over the sentences given. A sentence without words gives an empty one. */
export function wordVectors(sentences: readonly (readonly string[])[]): WordVector[] {
  const sentencesWith = new Map<string, number>();
  for (const words of sentences) {
    for (const word of new Set(words)) sentencesWith.set(word, (sentencesWith.get(word) ?? 0) + 1);
  }
  return sentences.map((words) => {
    const vector = new Map<string, number>();
    for (const word of words) {
      const rarity = Math.log(1 + sentences.length / (sentencesWith.get(word) ?? 1));
      vector.set(word, (vector.get(word) ?? 0) + rarity);
    }
    return toUnitLength(vector);
  });
}

/** The direction of all vectors together: what the text is about. */
export function centre(vectors: readonly WordVector[]): WordVector {
  const sum = new Map<string, number>();
  for (const vector of vectors) {
    for (const [word, weight] of vector) sum.set(word, (sum.get(word) ?? 0) + weight);
  }
  return toUnitLength(sum);
}

/** Cosine of two vectors of length 1. */
export function wordSimilarity(a: WordVector, b: WordVector): number {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  let sum = 0;
  for (const [word, weight] of small) sum += weight * (large.get(word) ?? 0);
  return sum;
}

function toUnitLength(vector: Map<string, number>): WordVector {
  const length = Math.sqrt([...vector.values()].reduce((sum, weight) => sum + weight * weight, 0));
  for (const [word, weight] of vector) vector.set(word, weight / length);
  return vector;
}

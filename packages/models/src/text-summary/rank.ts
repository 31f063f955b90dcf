/** Which sentences stand for a text. */

/** Likeness below this is noise between any two English sentences, and no vote. */
const NOISE = 0.15;
const DAMPING = 0.85;
const ROUNDS = 30;

/** How much stronger the first sentence of a text counts: texts open with what they are about. Fades within three sentences. */
const OPENING_BONUS = 0.3;
/** How much a sentence loses for saying what a chosen one said. */
const REPETITION_COST = 0.8;
/** Sentences with fewer words than this count for less: "Yes." stands for nothing. */
const FULL_SENTENCE_WORDS = 6;

/**
 * Picks `count` sentences: those that most others resemble (PageRank over likeness, as in TextRank
 * and LexRank), each new one as unlike the chosen as it can be (maximal marginal relevance).
 *
 * @param likeness cosine of sentences i and j, −1 to 1.
 * @param wordCounts words in each sentence; its length is the number of sentences.
 * @returns positions, ascending.
 */
export function pickSentences(
  likeness: (i: number, j: number) => number,
  wordCounts: readonly number[],
  count: number,
): number[] {
  const n = wordCounts.length;
  const table = likenessTable(likeness, n);
  const centrality = pageRank(table, n);

  const chosen: number[] = [];
  while (chosen.length < Math.min(count, n)) {
    let best = -1;
    let bestScore = -Infinity;
    for (let i = 0; i < n; i++) {
      if (chosen.includes(i)) continue;
      const fullness = Math.min(1, (wordCounts[i] ?? 0) / FULL_SENTENCE_WORDS);
      const worth = (centrality[i] ?? 0) * n * (1 + OPENING_BONUS * Math.exp(-i)) * fullness;
      const repetition = chosen.reduce((most, j) => Math.max(most, table[i * n + j] ?? 0), 0);
      const score = worth - REPETITION_COST * repetition;
      if (score > bestScore) {
        best = i;
        bestScore = score;
      }
    }
    chosen.push(best);
  }
  return chosen.sort((a, b) => a - b);
}

function likenessTable(likeness: (i: number, j: number) => number, n: number): Float32Array {
  const table = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const value = Math.max(0, likeness(i, j));
      table[i * n + j] = value;
      table[j * n + i] = value;
    }
  }
  return table;
}

function pageRank(table: Float32Array, n: number): Float64Array {
  const vote = (i: number, j: number): number => Math.max(0, (table[i * n + j] ?? 0) - NOISE);
  const given = Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += vote(i, j);
    return sum;
  });

  let rank = new Float64Array(n).fill(1 / n);
  for (let round = 0; round < ROUNDS; round++) {
    const next = new Float64Array(n).fill((1 - DAMPING) / n);
    for (let i = 0; i < n; i++) {
      const total = given[i] ?? 0;
      if (total === 0) continue;
      const share = (DAMPING * (rank[i] ?? 0)) / total;
      for (let j = 0; j < n; j++) next[j] = (next[j] ?? 0) + share * vote(i, j);
    }
    rank = next;
  }
  return rank;
}

/** What a picture shows: the icons that a prompt's words mean. */
import { similarity } from "../lib/embeddings.ts";
import type { Icon, IconSet } from "./icons.ts";
import { adjectivesBefore, aliasOf, type Adjectives, type Reading, type Word } from "./words.ts";

export interface Subject extends Adjectives {
  readonly icon: Icon;
  /** It sits or rides on the next subject ("a cat on a car"). */
  readonly isOnNext: boolean;
}

/** One to three neighbouring words that may name one thing. */
interface Phrase {
  readonly start: number;
  readonly words: readonly Word[];
  readonly text: string;
}

interface Match {
  readonly phrase: Phrase;
  readonly icon: Icon;
  readonly score: number;
}

const MOST_SUBJECTS = 5;
const MOST_WORDS_IN_NAME = 3;

/** Phrases embedded for one picture; each costs about 13 ms. */
const MOST_EMBEDDED = 40;

/** From this likeness on, an icon is taken for the thing named ("puppy" and dog: 0.76). */
const SURE = 0.72;

/** The names of two plain things are seldom less alike than this: when nothing is sure, the nearest will do. */
const PLAUSIBLE = 0.45;

const ON = /^(on|riding|atop)$/;

/** Phrases that must be embedded, because their words alone do not name an icon. */
export function unknownPhrases(reading: Reading, icons: IconSet): string[] {
  return phrasesOf(reading.words)
    .filter((phrase) => matchByName(phrase, icons) === undefined)
    .slice(0, MOST_EMBEDDED)
    .map(({ text }) => text);
}

/**
 * The subjects in the order of the prompt. Emoji come first; then what the words name outright; then
 * what their embeddings are surely like; and only if there is nothing at all, the nearest icon.
 */
export function chooseSubjects(
  reading: Reading,
  icons: IconSet,
  embeddings: ReadonlyMap<string, Float32Array>,
): Subject[] {
  const plain = { count: 1, size: 1, isOnNext: false };
  const shown = reading.emoji.flatMap((emoji) => icons.ofEmoji(emoji) ?? []).map((icon) => ({ ...plain, icon }));
  if (shown.length > 0) return shown.slice(0, MOST_SUBJECTS);

  const matches = phrasesOf(reading.words).flatMap((phrase): Match[] => {
    const named = matchByName(phrase, icons);
    if (named !== undefined) return [named];
    const embedding = embeddings.get(phrase.text);
    return embedding === undefined ? [] : [nearest(phrase, embedding, icons)];
  });
  const best = matches.toSorted((a, b) => b.score - a.score || a.phrase.start - b.phrase.start);
  const sure = withoutOverlap(best.filter(({ score }) => score >= SURE));
  const isPlaceAlone = reading.ground !== undefined || reading.light !== undefined;
  const chosen = sure.length > 0 || isPlaceAlone ? sure : best.filter(({ score }) => score >= PLAUSIBLE).slice(0, 1);

  return chosen
    .toSorted((a, b) => a.phrase.start - b.phrase.start)
    .map(({ phrase, icon }, index, all) => {
      const adjectives = adjectivesBefore(reading.words, phrase.start);
      const last = phrase.words.at(-1);
      const isPlural = last !== undefined && last.text !== last.singular && !icon.name.endsWith(last.text);
      const next = all[index + 1];
      const between = reading.words.slice(phrase.start + phrase.words.length, next?.phrase.start ?? 0);
      return {
        ...adjectives,
        icon,
        count: adjectives.count === 1 && isPlural ? 2 : adjectives.count,
        isOnNext: next !== undefined && between.some(({ text }) => ON.test(text)),
      };
    });
}

function phrasesOf(words: readonly Word[]): Phrase[] {
  const phrases: Phrase[] = [];
  for (let start = 0; start < words.length; start++) {
    for (let length = 1; length <= MOST_WORDS_IN_NAME && start + length <= words.length; length++) {
      const part = words.slice(start, start + length);
      const last = part.at(-1);
      const isThing = last !== undefined && !last.isSpent && last.text.length > 1;
      if (isThing) phrases.push({ start, words: part, text: part.map(({ text }) => text).join(" ") });
    }
  }
  return phrases;
}

/** By the icon's own name ("red apple"), by a known alias ("car"), or as the last word of a name ("cheese wedge" no, "tropical fish" for "fish" yes). */
function matchByName(phrase: Phrase, icons: IconSet): Match | undefined {
  const singular = [...phrase.words.slice(0, -1).map(({ text }) => text), phrase.words.at(-1)?.singular].join("-");
  const exact = icons.get(phrase.text.replaceAll(" ", "-")) ?? icons.get(singular);
  if (exact !== undefined) return { phrase, icon: exact, score: 2 + phrase.words.length };

  const [word, ...others] = phrase.words;
  if (word === undefined || others.length > 0) return undefined;
  const alias = icons.get(aliasOf(word) ?? "");
  if (alias !== undefined) return { phrase, icon: alias, score: 2 };

  const endings = icons.all.filter(({ name }) => name.endsWith(`-${word.singular}`) || name.endsWith(`-${word.text}`));
  const [shortest] = endings.toSorted((a, b) => a.name.length - b.name.length);
  return shortest === undefined || word.text.length < 3 ? undefined : { phrase, icon: shortest, score: 1 };
}

/** Several words may be much like an icon only because of one of them, so a longer phrase must fit better. */
function nearest(phrase: Phrase, embedding: Float32Array, icons: IconSet): Match {
  let best: Match | undefined;
  for (const icon of icons.all) {
    const score = similarity(embedding, icon.embedding) - 0.04 * (phrase.words.length - 1);
    if (best === undefined || score > best.score) best = { phrase, icon, score };
  }
  if (best === undefined) throw new Error("there are no icons");
  return best;
}

/** The best first; each word is shown once, and each icon once. */
function withoutOverlap(best: readonly Match[]): Match[] {
  const chosen: Match[] = [];
  for (const match of best) {
    const end = match.phrase.start + match.phrase.words.length;
    const overlaps = chosen.some(
      ({ phrase, icon }) =>
        icon === match.icon || (match.phrase.start < phrase.start + phrase.words.length && phrase.start < end),
    );
    if (!overlaps) chosen.push(match);
    if (chosen.length === MOST_SUBJECTS) break;
  }
  return chosen;
}

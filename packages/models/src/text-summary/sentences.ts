/**
 * Cuts a text into sentences. `Intl.Segmenter` knows the scripts and keeps "6.5-meter" whole; what it
 * does not know are English abbreviations ("Dr. Smith", "the U.S. Army") and hard-wrapped lines.
 *
 * @module
 */

/** A full stop after these never ends a sentence. */
const BEFORE_A_NAME = new Set(
  "mr mrs ms mx dr prof st mt gen col lt sgt capt cmdr adm maj rev fr hon gov sen rep pres e.g i.e cf viz vs".split(
    " ",
  ),
);

/** A full stop after these does not end a sentence when a number follows. */
const BEFORE_A_NUMBER = new Set(
  "no nos fig figs eq eqs sec ch vol pp p art approx ca c jan feb mar apr jun jul aug sep sept oct nov dec".split(" "),
);

/** Words that open a sentence more often than they follow an initial or an acronym. */
const OPENERS = new Set(
  "the a an this that these those he she it they we you i in on at as by for from to with but and or so if when while after before since because although however there here his her its their our my no not all some many most what who why how where".split(
    " ",
  ),
);

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/** The sentences of a text, in order, trimmed, white space made single spaces. */
export function splitSentences(text: string): string[] {
  return paragraphs(text).flatMap((paragraph) => {
    const sentences: string[][] = [];
    let before: string | undefined;
    for (const { segment } of segmenter.segment(paragraph)) {
      const next = segment.trim();
      if (next === "") continue;
      if (before !== undefined && goesOn(before, next)) sentences.at(-1)?.push(next);
      else sentences.push([next]);
      before = next;
    }
    return sentences.map((segments) => segments.join(" "));
  });
}

/**
 * Blank lines and list marks part paragraphs; any other line break is a wrapped line and becomes a
 * space, or nothing between two characters of a script that is written without spaces.
 */
function paragraphs(text: string): string[] {
  return text
    .replace(/\r\n?|[\u2028\u2029\u0085]/g, "\n")
    .split(/\n[^\S\n]*(?:\n\s*)+|\n(?=\s*(?:[-*•–]|\d+[.)])\s)/)
    .map((paragraph) =>
      paragraph
        .replace(
          /(?<=[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}、。])\n\s*(?=\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana})/gu,
          "",
        )
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((paragraph) => paragraph !== "");
}

/** Whether `next` is still the same sentence: `before` ends in an abbreviation, or in a quotation ("Is it?" she asked). */
function goesOn(before: string, next: string): boolean {
  if (/["”’»]$/.test(before) && /^\p{Ll}/u.test(next)) return true;
  const last = /(?:^|[\s("'“‘[])([\p{L}.]+)\.$/u.exec(before)?.[1];
  if (last === undefined) return false;
  const word = last.toLowerCase();
  if (BEFORE_A_NAME.has(word)) return true;
  if (BEFORE_A_NUMBER.has(word) && /^\d/.test(next)) return true;

  // An initial ("J. R. R. Tolkien") or an acronym ("the U.S. Army") goes on, unless a new sentence plainly begins.
  const isInitials = /^(?:\p{Lu}\.)*\p{Lu}$|^ph\.d$/iu.test(last) && /^\p{Lu}|^ph/u.test(last);
  const nextWord = /^\p{L}+/u.exec(next)?.[0].toLowerCase();
  return isInitials && nextWord !== undefined && !OPENERS.has(nextWord);
}

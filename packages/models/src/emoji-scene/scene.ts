/** Where a picture plays: the prompt's own words first, then the likeness of the whole prompt, then where its subject is at home. */
import { similarity } from "../lib/embeddings.ts";
import type { Subject } from "./subjects.ts";
import type { Ground, Light, Reading, Weather } from "./words.ts";

export interface Scene {
  readonly ground: Ground;
  readonly light: Light;
  readonly weather?: Weather;
}

/** How each ground reads as a sentence, to be compared with a prompt. */
const DESCRIPTIONS: readonly (readonly [string, Ground, Light])[] = [
  ["sunset over the sea", "sea", "sunset"],
  ["night sky with stars and moon", "meadow", "night"],
  ["snowy winter landscape", "snow", "day"],
  ["high mountains", "mountains", "day"],
  ["green meadow under a blue sky", "meadow", "day"],
  ["desert sand dunes", "desert", "day"],
  ["underwater ocean reef", "underwater", "day"],
  ["city street skyline buildings", "city", "day"],
  ["indoor room with a wooden table", "table", "day"],
  ["outer space galaxy planets", "space", "night"],
  ["forest trees woods", "forest", "day"],
  ["sandy beach by the sea", "beach", "day"],
];

/** From this likeness on, the prompt is about a place. Prompts about things stay below. */
const ABOUT_A_PLACE = 0.6;

const HOMES: readonly (readonly [RegExp, Ground])[] = [
  [
    /^(fish|tropical-fish|blowfish|shark|octopus|squid|jellyfish|whale|spouting-whale|dolphin|coral|turtle|seal|crab|lobster|shrimp|oyster)$/,
    "underwater",
  ],
  [/^(penguin|polar-bear|snowman.*|snowflake|skier|snowboarder|sled|skis|ice-skate|mammoth)$/, "snow"],
  [
    /^(couch-and-lamp|television|bed|bathtub|chair|desktop-computer|laptop|books|open-book|candle|potted-plant)$/,
    "table",
  ],
  [/camel|cactus|scorpion|^(lizard|snake)$/, "desert"],
  [
    /^(rocket|astronaut|alien.*|flying-saucer|ringed-planet|satellite|comet|.*-astronaut|glowing-star|moon.*|globe-.*)$/,
    "space",
  ],
  [/surfing|^(beach.*|palm-tree|coconut|spiral-shell|umbrella-on-ground|tropical-drink|flamingo|bikini)$/, "beach"],
  [/boat|ship|ferry|canoe|anchor|ring-buoy|water-wave/, "sea"],
  [
    /^(bear|fox|wolf|owl|deer|hedgehog|badger|squirrel|chipmunk|gorilla|monkey|orangutan|sloth|mushroom|evergreen-tree|dragon|troll|camping|tent|.*-elf|.*-fairy|unicorn|ogre|goblin|.*-mage)$/,
    "forest",
  ],
  [/^(goat|eagle|llama|volcano|mountain.*|.*climbing)$/, "mountains"],
  [
    /car$|taxi|bus$|automobile|motor|truck|lorry|tram|metro|building|bicycle|scooter|police|firefighter|ambulance|ninja|superhero|robot|office/,
    "city",
  ],
];

const HOME_OF_CATEGORY: Readonly<Record<string, Ground>> = {
  "Food & Drink": "table",
  "Animals & Nature": "meadow",
  "People & Body": "meadow",
  "Travel & Places": "meadow",
};

/** Sentences to embed once, at setup. */
export const PLACE_SENTENCES: readonly string[] = DESCRIPTIONS.map(([sentence]) => sentence);

/** @param places embeddings of `PLACE_SENTENCES`, in order. */
export function chooseScene(
  reading: Reading,
  subjects: readonly Subject[],
  prompt: Float32Array | undefined,
  places: readonly Float32Array[],
): Scene {
  const [likeness, place] = prompt === undefined ? [0, undefined] : mostLike(prompt, places);
  const [, ground, light] = place ?? [];
  const isAboutPlace = likeness >= ABOUT_A_PLACE;

  const home = homeOf(subjects);
  // Only under a sky does light alone suggest a view: "sunset" is seen over the sea.
  const open = reading.light === "sunset" ? "sea" : "meadow";
  const lightAlone = reading.light === "studio" ? "studio" : open;
  const guessed = (isAboutPlace ? ground : undefined) ?? home ?? (reading.light === undefined ? "studio" : lightAlone);
  const chosen: Scene = {
    ground: reading.ground ?? guessed,
    light: reading.light ?? (isAboutPlace && reading.ground === undefined ? light : undefined) ?? "day",
    ...(reading.weather === undefined ? {} : { weather: reading.weather }),
  };
  return home === "underwater" && chosen.ground === "sea" && chosen.light === "day"
    ? { ...chosen, ground: "underwater" }
    : chosen;
}

function mostLike(
  prompt: Float32Array,
  places: readonly Float32Array[],
): [number, (typeof DESCRIPTIONS)[number] | undefined] {
  const likenesses = places.map((place) => similarity(prompt, place));
  const best = Math.max(...likenesses);
  return [best, DESCRIPTIONS[likenesses.indexOf(best)]];
}

function homeOf(subjects: readonly Subject[]): Ground | undefined {
  for (const { icon } of subjects) {
    const home = HOMES.find(([names]) => names.test(icon.name))?.[1];
    if (home !== undefined) return home;
  }
  const [main] = subjects;
  return main === undefined ? undefined : HOME_OF_CATEGORY[main.icon.category];
}

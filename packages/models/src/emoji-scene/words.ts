/**
 * Reads a prompt as words: which name the place, the light or the weather, which are colours, numbers
 * and sizes, and which are left to be shown as things. Plain tables, asked before any embedding,
 * because a word that says the place outright beats a guess from likeness.
 *
 * @module
 */

export type Ground =
  | "meadow"
  | "forest"
  | "mountains"
  | "snow"
  | "desert"
  | "beach"
  | "sea"
  | "underwater"
  | "city"
  | "table"
  | "space"
  | "studio";
export type Light = "day" | "sunset" | "night" | "studio";
export type Weather = "rain" | "snowfall";

interface Hint {
  readonly ground?: Ground;
  readonly light?: Light;
  readonly weather?: Weather;
}

const place = (ground: Ground, words: string): [string, Hint][] => list(words).map((word) => [word, { ground }]);
const light = (light: Light, words: string): [string, Hint][] => list(words).map((word) => [word, { light }]);
const weather = (weather: Weather, words: string): [string, Hint][] => list(words).map((word) => [word, { weather }]);

/** Words that name a scene, singular. A phrase stands with a space for "_". */
const HINTS = new Map<string, Hint>([
  ...place(
    "meadow",
    "meadow park garden field grass grassland lawn farm countryside hill valley pasture spring backyard prairie",
  ),
  ...place("forest", "forest wood woods jungle woodland rainforest grove"),
  ...place("mountains", "mountain mountains alps peak cliff canyon"),
  ...place("snow", "snow snowy winter ice icy arctic antarctica glacier iceberg frozen north_pole south_pole"),
  ...place("desert", "desert dune sahara sand_dune savanna oasis mars"),
  ...place("beach", "beach shore coast seaside island tropical_island"),
  ...place("sea", "sea ocean lake river harbor harbour bay horizon pond waves"),
  ...place(
    "underwater",
    "underwater seabed reef coral_reef aquarium under_the_sea under_water deep_sea bottom_of_the_sea bottom_of_the_ocean",
  ),
  ...place("city", "city cityscape town street downtown skyline road urban metropolis skyscraper avenue village"),
  ...place(
    "table",
    "table wooden_table desk kitchen room indoor indoors shelf cafe café restaurant counter bakery living_room bedroom office interior breakfast dinner lunch picnic",
  ),
  ...place("space", "space outer_space galaxy cosmos universe nebula orbit interstellar zero_gravity"),
  ...place("studio", "plain_background white_background"),
  ...light("sunset", "sunset sunrise dusk dawn golden_hour twilight evening"),
  ...light("night", "night midnight moonlight moonlit nighttime starry stars dark darkness northern_lights"),
  ...light("day", "daylight noon sunny morning afternoon blue_sky"),
  ...light("studio", "studio studio_lighting studio_light spotlight softbox"),
  ...weather("rain", "rain rainy raining storm stormy"),
  ...weather("snowfall", "snowfall snowing blizzard snowstorm"),
  ["cyberpunk", { ground: "city", light: "night" }],
  ["neon", { ground: "city", light: "night" }],
  ["christmas", { ground: "snow", light: "night", weather: "snowfall" }],
  ["halloween", { ground: "forest", light: "night" }],
]);

/** A thing's own word, where the icon's name says it otherwise. */
export const ALIASES: ReadonlyMap<string, string> = new Map<string, string>(
  list(
    "car:automobile cars:automobile suv:sport-utility-vehicle truck:articulated-lorry van:minibus bike:bicycle motorbike:motorcycle plane:airplane aeroplane:airplane jet:airplane spaceship:rocket spacecraft:rocket starship:rocket ufo:flying-saucer boat:sailboat yacht:sailboat train:locomotive tram:trolleybus subway:metro " +
      "tree:deciduous-tree pine:evergreen-tree fir:evergreen-tree flower:blossom daisy:blossom lily:hibiscus lavender:hyacinth poppy:hibiscus orchid:hibiscus leaf:fallen-leaf leaves:fallen-leaf grass:herb bush:herb " +
      "kitten:cat kitty:cat puppy:dog husky:dog labrador:guide-dog pup:dog bunny:rabbit hare:rabbit pony:horse stallion:horse lamb:ewe sheep:ewe bull:ox calf:cow dinosaur:t-rex dino:t-rex orca:spouting-whale crow:blackbird raven:blackbird hawk:eagle falcon:eagle bee:honeybee ladybug:lady-beetle chick:baby-chick hen:chicken duckling:duck cub:bear caterpillar:bug lynx:leopard cheetah:leopard panther:black-cat jaguar:leopard ape:gorilla shell:spiral-shell seashell:spiral-shell salmon:fish tuna:fish goldfish:tropical-fish pufferfish:blowfish " +
      "samurai:ninja knight:guard soldier:guard warrior:ninja wizard:man-mage witch:woman-mage sorcerer:man-mage mage:person-mage fairy:woman-fairy elf:person-elf mermaid:woman-merpeople king:person-with-crown queen:person-with-crown vampire:man-vampire zombie:person-zombie genie:person-genie superhero:person-superhero hero:person-superhero villain:person-supervillain angel:baby-angel santa:santa-claus doctor:health-worker nurse:woman-health-worker chef:cook cop:police-officer policeman:police-officer surfer:person-surfing dancer:woman-dancing skater:roller-skate runner:person-running cyclist:person-biking swimmer:person-swimming climber:person-climbing bride:woman-with-veil wife:woman husband:man kid:child lady:woman guy:man mother:woman father:man grandma:old-woman grandpa:old-man grandmother:old-woman grandfather:old-man monster:ogre devil:goblin demon:goblin mice:mouse geese:goose men:man women:woman children:child people:person " +
      "coffee:hot-beverage tea:teacup-without-handle espresso:hot-beverage latte:hot-beverage beer:beer-mug wine:wine-glass champagne:bottle-with-popping-cork cocktail:cocktail-glass juice:beverage-box milk:glass-of-milk cake:birthday-cake cheesecake:shortcake burger:hamburger fries:french-fries noodle:steaming-bowl noodles:steaming-bowl ramen:steaming-bowl soup:pot-of-food pasta:spaghetti steak:cut-of-meat cheese:cheese-wedge apple:red-apple orange:tangerine corn:ear-of-corn chili:hot-pepper donut:doughnut rice:cooked-rice salad:green-salad pumpkin:jack-o-lantern kiwi:kiwi-fruit fruit:grapes honey:honey-pot peanut:peanuts chocolate:chocolate-bar " +
      "sword:dagger katana:dagger gun:water-pistol book:open-book computer:laptop pc:desktop-computer phone:mobile-phone lamp:light-bulb lantern:red-paper-lantern hat:top-hat ball:soccer-ball football:soccer-ball gift:wrapped-gift present:wrapped-gift diamond:gem-stone jewel:gem-stone treasure:money-bag money:money-bag clock:mantelpiece-clock painting:artist-palette art:artist-palette music:musical-notes song:musical-notes jazz:saxophone violinist:violin pianist:musical-score guitarist:guitar tv:television movie:clapper-board heart:red-heart love:red-heart magic:magic-wand sofa:couch-and-lamp plant:potted-plant map:world-map globe:globe-showing-europe-africa earth:globe-showing-europe-africa world:globe-showing-americas planet:ringed-planet saturn:ringed-planet moon:crescent-moon star:glowing-star sunshine:sun thunder:cloud-with-lightning lightning:cloud-with-lightning campfire:fire flame:fire wave:water-wave waterfall:water-wave bonfire:fire skeleton:skull palace:castle fortress:castle fort:castle tower:tokyo-tower cottage:house-with-garden cabin:hut home:house barn:house skyscrapers:office-building temple:shinto-shrine ferris:ferris-wheel carousel:carousel-horse circus:circus-tent windmill:ferris-wheel lighthouse:tokyo-tower parasol:umbrella-on-ground  pirate:ship birthday:birthday-cake party:party-popper freedom:eagle liberty:statue-of-liberty peace:dove hope:rainbow joy:party-popper happiness:rainbow time:hourglass-not-done dream:cloud death:skull science:microscope education:graduation-cap home:house success:trophy victory:trophy idea:light-bulb travel:luggage holiday:luggage",
  ).map((pair): [string, string] => {
    const [word = "", icon = ""] = pair.split(":");
    return [word, icon];
  }),
);

const NUMBERS = new Map<string, number>(
  Object.entries({
    two: 2,
    pair: 2,
    couple: 2,
    three: 3,
    four: 4,
    five: 5,
    six: 6,
    several: 4,
    many: 6,
    some: 3,
    "2": 2,
    "3": 3,
    "4": 4,
    "5": 5,
    "6": 6,
  }),
);

/** Factor on a thing's size. */
const SIZES = new Map<string, number>([
  ...list("tiny little small mini miniature baby").map((word): [string, number] => [word, 0.65]),
  ...list("big large giant huge enormous gigantic massive tall").map((word): [string, number] => [word, 1.3]),
]);

/** Hue in degrees, or how light a grey. */
export type Colour = { readonly hue: number } | { readonly grey: number };

const COLOURS = new Map<string, Colour>(
  Object.entries({
    red: { hue: 355 },
    crimson: { hue: 348 },
    orange: { hue: 26 },
    yellow: { hue: 48 },
    golden: { hue: 44 },
    gold: { hue: 44 },
    green: { hue: 130 },
    emerald: { hue: 150 },
    turquoise: { hue: 176 },
    teal: { hue: 180 },
    cyan: { hue: 188 },
    blue: { hue: 212 },
    indigo: { hue: 245 },
    purple: { hue: 275 },
    violet: { hue: 270 },
    magenta: { hue: 305 },
    pink: { hue: 335 },
    black: { grey: 0.2 },
    white: { grey: 0.95 },
    grey: { grey: 0.6 },
    gray: { grey: 0.6 },
    silver: { grey: 0.75 },
  }),
);

/** Words that show nothing. */
const SILENT = new Set(
  list(
    "a an the of in at with and or to for by from its his her their my our your is are be as into through that this it very so near beside behind under over above below on onto atop up down off out around between next front across along inside outside while against during like made full one " +
      "style photo photograph image picture portrait realistic photorealistic hyperrealistic detailed beautiful gorgeous stunning lovely pretty nice amazing epic cute adorable happy funny cozy cosy high quality resolution ultra hd uhd 4k 8k render rendering illustration drawing lighting light soft dramatic cinematic vibrant colorful colourful masterpiece closeup close shot view background foreground scene composition trending artstation digital aesthetic minimal minimalist modern old young new wild wooden standing sitting riding holding wearing looking playing walking running flying swimming eating drinking sleeping reading dancing watching floating guarding catching landing jumping shining sliding chasing making",
  ),
);

/** One word of a prompt, in its place. */
export interface Word {
  readonly text: string;
  readonly singular: string;
  /** It names the place, light or weather, or says nothing that can be seen; it may still be part of a longer name. */
  readonly isSpent: boolean;
}

export interface Reading {
  readonly words: readonly Word[];
  /** Emoji written in the prompt, in order. */
  readonly emoji: readonly string[];
  readonly ground?: Ground;
  readonly light?: Light;
  readonly weather?: Weather;
}

/** Words beyond these are not read. */
const MOST_WORDS = 120;
const LONGEST_PHRASE = 4;

export function readPrompt(prompt: string): Reading {
  const texts = (
    prompt
      .normalize("NFKC")
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  ).slice(0, MOST_WORDS);
  const singulars = texts.map(singularOf);
  const spent = texts.map(
    (text, i) =>
      SILENT.has(text) || COLOURS.has(text) || NUMBERS.has(text) || (SIZES.has(text) && i < texts.length - 1),
  );

  let hint: Hint = {};
  for (let start = 0; start < texts.length; start++) {
    for (let length = Math.min(LONGEST_PHRASE, texts.length - start); length >= 1; length--) {
      const end = start + length;
      const phrase = [...texts.slice(start, end - 1), singulars[end - 1]].join("_");
      const found = HINTS.get(texts.slice(start, end).join("_")) ?? HINTS.get(phrase);
      if (found === undefined) continue;
      // The first word for each wins, except that "under the sea" is more than "sea".
      hint = { ...found, ...hint };
      spent.fill(true, start, end);
      start = end - 1;
      break;
    }
  }
  const words = texts.map((text, i): Word => ({ text, singular: singulars[i] ?? text, isSpent: spent[i] ?? false }));
  const emoji = prompt.match(/\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic})*/gu) ?? [];
  return { words, emoji, ...hint };
}

/** What stands before a thing's name: "three small blue" (birds). */
export interface Adjectives {
  readonly count: number;
  readonly size: number;
  readonly colour?: Colour;
}

export function adjectivesBefore(words: readonly Word[], position: number): Adjectives {
  let adjectives: Adjectives = { count: 1, size: 1 };
  for (let i = position - 1; i >= Math.max(0, position - 4); i--) {
    const text = words[i]?.text ?? "";
    const colour = COLOURS.get(text);
    const count = NUMBERS.get(text);
    const size = SIZES.get(text);
    if (colour !== undefined) adjectives = { ...adjectives, colour };
    else if (count !== undefined) adjectives = { ...adjectives, count };
    else if (size !== undefined) adjectives = { ...adjectives, size };
    else if (!SILENT.has(text) || /^(and|with|of|on|in|to|at|the|over|under)$/.test(text)) break;
  }
  return adjectives;
}

/** The icon that a word is known to mean. */
export function aliasOf(word: Word): string | undefined {
  return ALIASES.get(word.text) ?? ALIASES.get(word.singular);
}

function singularOf(word: string): string {
  if (/(?:ss|x|ch|sh|o)es$/.test(word)) return word.slice(0, -2);
  if (/[^aeiou]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (word.endsWith("lves")) return `${word.slice(0, -3)}f`;
  if (/[^su]s$/.test(word)) return word.slice(0, -1);
  return word;
}

function list(words: string): string[] {
  return words.split(" ").filter((word) => word !== "");
}

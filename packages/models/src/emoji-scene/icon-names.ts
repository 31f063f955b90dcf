/** Which icons of Fluent Emoji Flat can stand in a picture, and how their names read as English. */

/** Signs, arrows, letters and flags are no things to see. */
const CATEGORIES = [
  "Activities",
  "Animals & Nature",
  "Food & Drink",
  "Objects",
  "People & Body",
  "Smileys & Emotion",
  "Travel & Places",
];

/** Of the faces and feelings only these are things or beings. */
const BEINGS =
  /^(alien|alien-monster|ghost|goblin|ogre|robot|skull|clown-face|bomb|fire|.*heart|love-letter|collision)$/;

const LEFT_OUT = [
  // One tone of skin, and one of several views, is enough.
  /(light|medium|dark)$|facing-right$|^front-facing|-(animal|face)$(?<!clown-face|sun-with-face)/,
  // Parts of bodies, and people who only make a gesture.
  /hand(?!le|bag)|finger|fist|thumb|^palms?-(up|down)|pointing|^(foot|leg|nose|mouth|tongue|tooth|lungs|ear|eye|eyes|bone|brain|biting-lip|selfie|anatomical-heart|footprints)$|ear-with|mechanical-|sign-of|love-you|vulcan|raised|silhouette|speaking/,
  /gesturing|(?<!s)pouting|frowning|facepalming|shrugging|bowing|tipping|kneeling|deaf|massage|haircut|bunny|-(bald|beard|blonde-hair|curly-hair|red-hair|white-hair|standing)$|breast|pregnant|levitating|taking-bath|in-bed|steamy/,
  // Clock faces, office symbols, gadgets of a screen.
  /oclock|thirty|^(chart|card-index|bookmark-tabs|file-|page-|inbox|outbox|locked|link|muted|speaker-|.*-mailbox|.*arrow$|bell-with-slash|level-slider|control-knobs|incoming-envelope|tear-off|identification|placard|label|ledger)|-yen$|index-dividers/,
  // Signs and pieces that nobody would put in a scene.
  /-(suit|medal)$(?<!sports-medal)|flag|^(joker|mahjong.*|stop-sign|construction|cyclone|high-voltage|droplet|drop-of-blood|hole|zzz|dizzy|hamsa|nazar-amulet|cigarette|coffin|funeral-urn|middle-finger|map-of-japan|kaaba|microbe|cockroach|toilet|plunger|roll-of-paper|syringe|briefs)$/,
];

/** The category lists of the icon set, by category. */
export type Categories = Readonly<Record<string, readonly string[]>>;

export function isThing(name: string, category: string): boolean {
  if (!CATEGORIES.includes(category)) return false;
  if (category === "Smileys & Emotion" && !BEINGS.test(name)) return false;
  return !LEFT_OUT.some((pattern) => pattern.test(name));
}

/** "person-surfing" → "person surfing". */
export function phraseOf(name: string): string {
  return name.replace(/-/g, " ");
}

/** Where things stand, how large they are, and what stands before what. Pure: the same subjects and random stream give the same layout. */
import type { Backdrop } from "./backgrounds/backdrop.ts";
import type { Icon, IconSet } from "./icons.ts";
import type { Subject } from "./subjects.ts";
import type { Canvas } from "./svg.ts";
import type { Colour } from "./words.ts";

/** A thing in the picture: the centre of its foot, and the size of what is visible of it, in pixels. */
export interface Placement {
  readonly icon: Icon;
  readonly colour?: Colour;
  readonly x: number;
  readonly foot: number;
  readonly width: number;
  readonly height: number;
  readonly flip: boolean;
  /** Degrees. */
  readonly tilt: number;
  readonly hasShadow: boolean;
  /** What lies behind is painted first: flyers, then what stands, far to near, then riders. */
  readonly layer: number;
}

const FLIES =
  /^(bird|eagle|owl|dove|parrot|bat|butterfly|honeybee|fly|mosquito|airplane.*|small-airplane|helicopter|rocket|flying-saucer|satellite|comet|kite|balloon|parachute|cloud.*|sun.*|rainbow|crescent-moon|full-moon.*|.*-moon|star|glowing-star|ringed-planet|snowflake|sparkles|baby-angel|phoenix-bird|.*-fairy|musical-notes?|.*heart.*|wind-face|globe-.*|dragon|magic-wand)$/;
/** What stays at the bottom where all else floats. */
const CRAWLS = /^(coral|crab|lobster|spiral-shell|snail|rock|anchor|worm|scorpion)$/;
const SUN_OR_MOON = /^sun|moon/;
const TALL =
  /castle|house|building|tree|tower|hotel|church|temple|shrine|factory|hospital|school|bank|store|stadium|elephant|giraffe|whale|sauropod|t-rex|mammoth|dragon$|ferris-wheel|roller-coaster|ship$|mountain|volcano|tent|statue|rainbow/;
const LITTLE =
  /^(ant|bug|beetle|lady-beetle|honeybee|butterfly|fly|mosquito|snail|worm|spider|cricket|mouse|baby-chick|frog|mushroom|tulip|rose|blossom|cherries|strawberry|hot-beverage|teacup.*|cookie|candle|key|ring|pencil|pen|cherry-blossom|hibiscus|seedling|star|butter|soccer-ball|baseball|tennis|lemon|red-apple|green-apple|egg|leaf.*|fallen-leaf|herb)$/;

/** One sits in these, and not on top. */
const SOFT_SEAT = /^(couch-and-lamp|chair|bed|bathtub|canoe|hut|tent)$/;

/** Part of the shorter side that one thing takes when so many are shown. */
const SHARE = [0.56, 0.56, 0.43, 0.37, 0.32, 0.29];
const SHARE_OF_MANY = 0.25;

export function arrange(canvas: Canvas, subjects: readonly Subject[], backdrop: Backdrop): Placement[] {
  const items = subjects.flatMap((subject, order) => Array.from({ length: subject.count }, () => ({ subject, order })));
  const share = SHARE[items.length] ?? SHARE_OF_MANY;
  const sized = items.map(({ subject, order }) => {
    const scale = share * subject.size * naturalScale(subject.icon, subjects.length) * (order === 0 ? 1.08 : 1);
    return { subject, ...fit(subject.icon, canvas.unit * scale * canvas.random.between(0.94, 1.06)) };
  });

  const riders = sized.filter(({ subject }) => subject.isOnNext);
  const flyers = sized.filter(
    ({ subject }) => !subject.isOnNext && !backdrop.isFloating && FLIES.test(subject.icon.name),
  );
  const standing = sized.filter((item) => !riders.includes(item) && !flyers.includes(item));

  const hangs = (item: Sized): boolean => backdrop.isFloating && !CRAWLS.test(item.subject.icon.name);
  const middle = { around: riders.length > 0 ? 0.62 : 0.47, spread: 0.13 * (canvas.height / canvas.unit) };
  const floating = placeInRow(canvas, standing.filter(hangs), middle);
  const ground = placeInRow(
    canvas,
    standing.filter((item) => !hangs(item)),
    backdrop.stand,
  );
  const sky = placeInRow(canvas, flyers, standing.length === 0 ? middle : { around: 0.2, spread: 0.06 });
  const placed = [...sky, ...floating, ...ground];
  for (const rider of riders.toReversed()) placed.push(placeOn(canvas, rider, riders, subjects, placed));
  return placed;
}

/** A few small things that belong to the place, where there is room for them. */
export function addDecor(
  canvas: Canvas,
  placed: readonly Placement[],
  backdrop: Backdrop,
  icons: IconSet,
  count: number,
): Placement[] {
  const { random, unit, width, height } = canvas;
  const left = backdrop.decor.filter((name) => placed.every(({ icon }) => icon.name !== name));
  const decor: Placement[] = [];
  for (let i = 0; i < count && left.length > 0; i++) {
    const name = random.pick(left);
    left.splice(left.indexOf(name), 1);
    const icon = icons.get(name);
    if (icon === undefined) throw new Error(`the decor "${name}" is no icon`);
    const flies = FLIES.test(name);
    const isFree = flies || (backdrop.isFloating && !CRAWLS.test(name));
    const size = fit(
      icon,
      unit * random.between(0.1, 0.14) * naturalScale(icon, 2) ** 2 * (placed.length === 0 ? 1.9 : 1),
    );
    const [far, near] = backdrop.stand;
    const spots = Array.from({ length: 16 }, (): Placement => {
      const foot = isFree
        ? height * random.between(0.16, flies ? 0.45 : 0.85)
        : height * random.between(far - 0.02, near);
      const x = random.between(size.width * 0.6, width - size.width * 0.6);
      return {
        icon,
        x,
        foot: Math.max(foot, size.height + height * 0.03),
        ...size,
        flip: random.next() < 0.5,
        tilt: 0,
        hasShadow: !isFree,
        layer: isFree ? 0 : 1,
      };
    });
    const crowding = spots.map((spot) => [...placed, ...decor].reduce((sum, other) => sum + overlap(spot, other), 0));
    const least = Math.min(...crowding);
    const spot = spots[crowding.indexOf(least)];
    if (spot !== undefined && least < size.width * size.height * 0.25) decor.push(spot);
  }
  return decor;
}

/** What stands nearer covers what stands behind. */
export function inPaintingOrder(placements: readonly Placement[]): Placement[] {
  return placements.toSorted((a, b) => a.layer - b.layer || a.foot - b.foot);
}

export function showsSunOrMoon(subjects: readonly Subject[]): boolean {
  return subjects.some(({ icon }) => SUN_OR_MOON.test(icon.name));
}

/** Free of the ground: around this part of the height, so far up or down, in parts of the shorter side. */
interface Hanging {
  readonly around: number;
  readonly spread: number;
}

interface Sized {
  readonly subject: Subject;
  readonly width: number;
  readonly height: number;
}

/** One after the other in the order of the prompt, shrunk together when the row is too long. */
function placeInRow(canvas: Canvas, items: readonly Sized[], where: Backdrop["stand"] | Hanging): Placement[] {
  const isFree = "around" in where;
  const { width, height, unit, random } = canvas;
  const total = items.reduce((sum, item) => sum + item.width, 0);
  // Many things in a narrow picture may cover each other a little, being at different depths.
  const room = width * 0.92 * (items.length > 2 ? (isFree ? 1.6 : 1.2) : 1);
  const shrink = Math.min(1, room / Math.max(1, total));
  const gap = Math.min(unit * 0.09, (width * 0.92 - total * shrink) / (items.length + 1));
  const used = total * shrink + gap * (items.length - 1);

  let x = (width - used) / 2;
  return items.map(({ subject, ...size }, index): Placement => {
    const [w, h] = [size.width * shrink, size.height * shrink];
    const centre = x + w / 2 + (items.length === 1 ? 0 : unit * random.between(-0.012, 0.012));
    x += w + gap;
    const depth = items.length === 1 ? 0.7 : ((index * 0.618) % 1) * 0.75 + random.between(0, 0.25);
    const foot = isFree
      ? height * where.around + h / 2 + (items.length === 1 ? 0 : unit * random.between(-where.spread, where.spread))
      : height * (where[0] + (where[1] - where[0]) * depth);
    return {
      icon: subject.icon,
      ...(subject.colour === undefined ? {} : { colour: subject.colour }),
      x: Math.max(w / 2, Math.min(width - w / 2, centre)),
      foot: Math.max(foot, h + height * 0.03),
      width: w,
      height: h,
      flip: isFree && items.length > 1 && random.next() < 0.4,
      tilt: isFree && !SUN_OR_MOON.test(subject.icon.name) ? random.between(-9, 9) : 0,
      hasShadow: !isFree,
      layer: isFree ? 0 : 1,
    };
  });
}

function placeOn(
  canvas: Canvas,
  rider: Sized,
  riders: readonly Sized[],
  subjects: readonly Subject[],
  placed: readonly Placement[],
): Placement {
  const mount = subjects[subjects.indexOf(rider.subject) + 1];
  const under = placed.find(({ icon }) => icon === mount?.icon);
  if (under === undefined) throw new Error("a rider's mount is placed before the rider");
  const abreast = riders.filter(({ subject }) => subject === rider.subject);
  const seat = under.foot - under.height * (SOFT_SEAT.test(under.icon.name) ? 0.36 : 0.72);
  const size = Math.min(
    1,
    (under.width * (abreast.length > 1 ? 0.95 : 0.62)) / rider.width / abreast.length,
    (seat - canvas.height * 0.03) / rider.height,
  );
  return {
    icon: rider.subject.icon,
    ...(rider.subject.colour === undefined ? {} : { colour: rider.subject.colour }),
    x: under.x + ((abreast.indexOf(rider) + 0.5) / abreast.length - 0.5) * under.width * 0.95,
    foot: seat,
    width: rider.width * size,
    height: rider.height * size,
    flip: false,
    tilt: 0,
    hasShadow: false,
    layer: 2,
  };
}

/** The visible part, its longer side `size` pixels long. */
function fit(icon: Icon, size: number): { width: number; height: number } {
  const [left, top, right, bottom] = icon.box;
  const scale = size / Math.max(right - left, bottom - top);
  return { width: (right - left) * scale, height: (bottom - top) * scale };
}

/** An ant beside an elephant is small; alone it may fill the picture. */
function naturalScale(icon: Icon, subjects: number): number {
  if (subjects < 2) return 1;
  if (TALL.test(icon.name)) return 1.3;
  return LITTLE.test(icon.name) ? 0.62 : 1;
}

function overlap(a: Placement, b: Placement): number {
  const width = Math.min(a.x + a.width / 2, b.x + b.width / 2) - Math.max(a.x - a.width / 2, b.x - b.width / 2);
  const height = Math.min(a.foot, b.foot) - Math.max(a.foot - a.height, b.foot - b.height);
  return width > 0 && height > 0 ? width * height : 0;
}

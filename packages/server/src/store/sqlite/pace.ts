/** Runs that the band is learned from, and how many of them it takes before one is told. */
const REMEMBERED = 64;
const ENOUGH = 5;

/** Shares of the runs that are shorter than the band, and than its end. */
const LOW = 0.1;
const HIGH = 0.9;

/** Between which times from now, ms, there will probably be an outcome. */
export type Band = readonly [low: number, high: number];

/** How fast a model's requests run: how long each takes, and how many do at once. Costs the same however many were seen. */
export class Pace {
  /** How many run now. */
  #running = 0;
  /** Most that ran at once, since the runs remembered now began to be, and in as many runs before. */
  #most = 0;
  #mostBefore = 0;
  /** Of the latest runs how long they took, ms: in the order they ended, and by length. */
  readonly #latest = new Float64Array(REMEMBERED);
  readonly #byLength = new Float64Array(REMEMBERED);
  #seen = 0;

  began(): void {
    if (++this.#running > this.#most) this.#most = this.#running;
  }

  ended(): void {
    this.#running--;
  }

  /** A run that took `ms` from its lease on has brought a result. */
  completed(ms: number): void {
    const at = this.#seen % REMEMBERED;
    const count = this.#count;
    if (at === 0) {
      this.#mostBefore = this.#most;
      this.#most = this.#running;
    }
    // Where the oldest leaves, those between its place and the new one's move by one.
    let place = count < REMEMBERED ? count : this.#byLength.indexOf(this.#latest[at]!);
    const lengths = this.#byLength;
    for (; place > 0 && lengths[place - 1]! > ms; place--) lengths[place] = lengths[place - 1]!;
    for (; place + 1 < count && lengths[place + 1]! < ms; place++) lengths[place] = lengths[place + 1]!;
    lengths[place] = ms;
    this.#latest[at] = ms;
    this.#seen++;
  }

  /** For the `rank`-th of those that wait, which waits for `delayMs` at least. Null until enough runs were seen. */
  waiting(rank: number, delayMs: number): Band | null {
    if (this.#seen < ENOUGH) return null;
    const atOnce = Math.max(this.#most, this.#mostBefore, 1);
    // So many runs must end before it can start; they end in rounds, the first of which may be about to.
    const rounds = Math.ceil(Math.max(0, rank + this.#running - atOnce) / atOnce);
    const low = this.#quantile(LOW);
    const high = this.#quantile(HIGH);
    return [Math.max(delayMs, (rounds - 1) * low) + low, Math.max(delayMs, rounds * high) + high];
  }

  /** For one that has run for `ms`. What runs longer than usual may take as long again as it is over. */
  runningFor(ms: number): Band | null {
    if (this.#seen < ENOUGH) return null;
    const low = this.#quantile(LOW);
    const high = this.#quantile(HIGH);
    return [Math.max(0, low - ms), Math.max(high - ms, ms - low)];
  }

  get #count(): number {
    return Math.min(this.#seen, REMEMBERED);
  }

  /** The length that this share of the runs remembered stays under; the shortest and the longest of a few. */
  #quantile(share: number): number {
    const place = share * (this.#count - 1);
    return this.#byLength[share < 0.5 ? Math.floor(place) : Math.ceil(place)]!;
  }
}

/** From this size on, memory is kept for the next who wants some: a schedule's log has megabytes, and there are thousands of schedules. */
const KEPT_BYTES = 16 * 1024;

/** By size. */
const kept = new Map<number, Uint8Array[]>();

function take(least: number): Uint8Array {
  if (least < KEPT_BYTES) return new Uint8Array(least);
  let size = KEPT_BYTES;
  while (size < least) size *= 4;
  return kept.get(size)?.pop() ?? new Uint8Array(size);
}

function give(space: Uint8Array): void {
  if (space.length < KEPT_BYTES) return;
  const others = kept.get(space.length);
  if (others === undefined) kept.set(space.length, [space]);
  else others.push(space);
}

/** Bytes that grow; what was never written is zero. */
export class Bytes {
  #space: Uint8Array = new Uint8Array(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The bytes themselves: to be read at once, and not to be kept. */
  get view(): Uint8Array {
    return this.#space.subarray(0, this.#size);
  }

  copy(): Bytes {
    const copy = new Bytes();
    copy.write(this.view, 0);
    return copy;
  }

  /** Answers how many bytes there were. */
  read(into: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - at));
    if (count > 0) into.set(this.#space.subarray(at, at + count));
    return count;
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return; // not even beyond its end does it make the file longer (write(2))
    const end = at + bytes.length;
    this.#reserve(end);
    if (at > this.#size) this.#space.fill(0, this.#size, at);
    this.#space.set(bytes, at);
    this.#size = Math.max(this.#size, end);
  }

  resize(size: number): void {
    this.#reserve(size);
    if (size > this.#size) this.#space.fill(0, this.#size, size);
    this.#size = size;
  }

  /** It is empty, and others have its memory. */
  release(): void {
    give(this.#space);
    this.#space = new Uint8Array(0);
    this.#size = 0;
  }

  #reserve(size: number): void {
    if (size <= this.#space.length) return;
    const grown = take(Math.max(size, this.#space.length * 2));
    grown.set(this.view);
    give(this.#space);
    this.#space = grown;
  }
}

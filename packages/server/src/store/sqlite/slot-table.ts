import { isId } from "../../core/ids.ts";
import { idFromBytes, idToBytes, idWord } from "./id-bytes.ts";

/** Tables that share the ids, each small enough that growing one is not felt. */
const SHARDS = 256;

/**
 * The columns of the index: about 90 bytes a request in typed arrays, so that a million of them are
 * a dozen objects to the garbage collector, and the hash table that finds a request's slot. A column
 * that only finished requests need holds something else of the others.
 */
export class SlotTable {
  status: Uint8Array = new Uint8Array(0);
  /** Which queue holds the slot; see `RequestIndex`. */
  place: Uint8Array = new Uint8Array(0);
  model: Uint16Array = new Uint16Array(0);
  owner: Uint32Array = new Uint32Array(0);
  /** The key that it came with. */
  key: Uint32Array = new Uint32Array(0);
  priority: Int8Array = new Int8Array(0);
  /** 1: it stands aside in its lane; see `Lane`. */
  aside: Uint8Array = new Uint8Array(0);
  leases: Uint32Array = new Uint32Array(0);
  createdAt: Float64Array = new Float64Array(0);
  expiresAt: Float64Array = new Float64Array(0);
  /** QUEUED: not before. PROCESSING: the lease's deadline. */
  due: Float64Array = new Float64Array(0);
  /** NaN stands for null, here and below. Not leased yet: the start deadline. */
  startedAt: Float64Array = new Float64Array(0);
  /** Unfinished: its number in its lane. */
  finishedAt: Float64Array = new Float64Array(0);
  /** Unfinished: its position as it was told last. */
  inferenceMs: Float64Array = new Float64Array(0);

  /** Slots in use or once used are those below. */
  used = 0;
  /** Four words a slot: the id, most significant first. */
  #ids = new Uint32Array(0);
  #free = new Int32Array(0);
  #freeCount = 0;
  readonly #shards: Int32Array[] = Array.from({ length: SHARDS }, () => new Int32Array(16).fill(-1));
  readonly #counts = new Uint32Array(SHARDS);
  readonly #key = new Uint8Array(16);
  /** What was found last, for a poll asks twice. Null: it is gone. */
  #lastId: string | null = null;
  #lastSlot = -1;

  /** Of a request that has no lease yet. */
  get startDeadline(): Float64Array {
    return this.startedAt;
  }

  /** Of an unfinished request. */
  get number(): Float64Array {
    return this.finishedAt;
  }

  /** Of an unfinished request. */
  get told(): Float64Array {
    return this.inferenceMs;
  }

  /** The slot of `id`, which has passed `isId`, or -1. */
  find(id: string): number {
    if (id === this.#lastId) return this.#lastSlot;
    const slot = this.#find(idWord(id, 0, 4), idWord(id, 9, 14), idWord(id, 19, 24), idWord(id, 28, 32));
    if (slot >= 0) {
      this.#lastId = id;
      this.#lastSlot = slot;
    }
    return slot;
  }

  /** As `find`, for any text. */
  findAny(text: string): number {
    return text === this.#lastId || isId(text) ? this.find(text) : -1;
  }

  #find(a: number, b: number, c: number, d: number): number {
    const shard = this.#shards[d & (SHARDS - 1)]!;
    const mask = shard.length - 1;
    const ids = this.#ids;
    for (let at = (d >>> 8) & mask; ; at = (at + 1) & mask) {
      const slot = shard[at]!;
      if (slot < 0) return -1;
      const i = slot * 4;
      if (ids[i + 3] === d && ids[i + 2] === c && ids[i + 1] === b && ids[i] === a) return slot;
    }
  }

  id(slot: number): string {
    const key = this.#key;
    for (let i = 0; i < 4; i++) {
      const value = this.#ids[slot * 4 + i]!;
      key[i * 4] = value >>> 24;
      key[i * 4 + 1] = value >>> 16;
      key[i * 4 + 2] = value >>> 8;
      key[i * 4 + 3] = value;
    }
    return idFromBytes(key);
  }

  /** Whether the id of slot `a` sorts before that of `b`. */
  isOlder(a: number, b: number): boolean {
    const ids = this.#ids;
    for (let i = 0; i < 4; i++) {
      const x = ids[a * 4 + i]!;
      const y = ids[b * 4 + i]!;
      if (x !== y) return x < y;
    }
    return false;
  }

  /** The same as a function of its own, for the heaps of all lanes. */
  readonly byAge = (a: number, b: number): boolean => this.isOlder(a, b);

  /** Copies the id of `slot` to `into`, as words. */
  copyId(slot: number, into: Uint32Array): void {
    for (let i = 0; i < 4; i++) into[i] = this.#ids[slot * 4 + i]!;
  }

  /** Whether the id of `slot` sorts after the one with these words. */
  isNewer(slot: number, words: Uint32Array): boolean {
    for (let i = 0; i < 4; i++) {
      const x = this.#ids[slot * 4 + i]!;
      if (x !== words[i]) return x > words[i]!;
    }
    return false;
  }

  /** A slot for the id with these bytes, which has none yet. The caller fills its columns. */
  add(bytes: Uint8Array): number {
    const slot = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#append();
    for (let i = 0; i < 4; i++) this.#ids[slot * 4 + i] = word(bytes, i * 4);
    const d = this.#ids[slot * 4 + 3]!;
    const number = d & (SHARDS - 1);
    if (++this.#counts[number]! * 2 > this.#shards[number]!.length) this.#growShard(number);
    place(this.#shards[number]!, d, slot);
    return slot;
  }

  addText(id: string): number {
    return this.add(idToBytes(id, this.#key));
  }

  has(bytes: Uint8Array): boolean {
    return this.#find(word(bytes, 0), word(bytes, 4), word(bytes, 8), word(bytes, 12)) >= 0;
  }

  /** Forgets the id of `slot`. The slot stays taken until it is freed, for a queue may still order by it. */
  forget(slot: number): void {
    if (slot === this.#lastSlot) this.#lastId = null;
    const d = this.#ids[slot * 4 + 3]!;
    const number = d & (SHARDS - 1);
    const shard = this.#shards[number]!;
    const mask = shard.length - 1;
    let hole = (d >>> 8) & mask;
    while (shard[hole] !== slot) hole = (hole + 1) & mask;
    // Close the gap, so that no search stops early (Knuth, TAOCP 3, algorithm 6.4 R).
    for (let at = (hole + 1) & mask; shard[at]! >= 0; at = (at + 1) & mask) {
      const home = (this.#ids[shard[at]! * 4 + 3]! >>> 8) & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        shard[hole] = shard[at]!;
        hole = at;
      }
    }
    shard[hole] = -1;
    this.#counts[number]!--;
  }

  free(slot: number): void {
    this.#free[this.#freeCount++] = slot;
  }

  #append(): number {
    if (this.used === this.status.length) this.#grow(Math.max(1024, this.used * 2));
    return this.used++;
  }

  #grow(length: number): void {
    this.status = copied(this.status, new Uint8Array(length));
    this.place = copied(this.place, new Uint8Array(length));
    this.model = copied(this.model, new Uint16Array(length));
    this.owner = copied(this.owner, new Uint32Array(length));
    this.key = copied(this.key, new Uint32Array(length));
    this.priority = copied(this.priority, new Int8Array(length));
    this.aside = copied(this.aside, new Uint8Array(length));
    this.leases = copied(this.leases, new Uint32Array(length));
    this.createdAt = copied(this.createdAt, new Float64Array(length));
    this.expiresAt = copied(this.expiresAt, new Float64Array(length));
    this.due = copied(this.due, new Float64Array(length));
    this.startedAt = copied(this.startedAt, new Float64Array(length));
    this.finishedAt = copied(this.finishedAt, new Float64Array(length));
    this.inferenceMs = copied(this.inferenceMs, new Float64Array(length));
    this.#ids = copied(this.#ids, new Uint32Array(length * 4));
    this.#free = copied(this.#free, new Int32Array(length));
  }

  #growShard(number: number): void {
    const old = this.#shards[number]!;
    const shard = new Int32Array(old.length * 2).fill(-1);
    for (const slot of old) if (slot >= 0) place(shard, this.#ids[slot * 4 + 3]!, slot);
    this.#shards[number] = shard;
  }
}

/** Linear probing from the place that the last word of an id, all random bits, points to. */
function place(shard: Int32Array, d: number, slot: number): void {
  const mask = shard.length - 1;
  let at = (d >>> 8) & mask;
  while (shard[at]! >= 0) at = (at + 1) & mask;
  shard[at] = slot;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function copied<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}

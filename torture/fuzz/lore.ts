/** What the server told that later cases name: ids, files, tokens, cursors. The newest of each. */
import type { Random } from "../simulation/random.ts";

const KEPT = 200;

export class Lore {
  readonly own: string[] = [];
  readonly foreign: string[] = [];
  readonly files: string[] = [];
  readonly tokens: string[] = [];
  readonly cursors: string[] = [];

  /** Takes what is worth knowing from a good answer's head and body. */
  learn(body: string, link: string | undefined, isOthers: boolean): void {
    const id = /"request_id":"([0-9a-f-]{36})"/.exec(body)?.[1];
    if (id !== undefined) keep(isOthers ? this.foreign : this.own, id);
    const file = /\/files\/([^"\\]+)"/.exec(body)?.[1];
    if (file !== undefined) keep(this.files, file);
    const cursor = /"next_cursor":"([^"]+)"/.exec(body)?.[1];
    if (cursor !== undefined) keep(this.cursors, cursor);
    const token = link === undefined ? undefined : /[?&]token=([^>&]+)>/.exec(link)?.[1];
    if (token !== undefined) keep(this.tokens, token);
  }
}

function keep(list: string[], value: string): void {
  list.push(value);
  if (list.length > KEPT) list.shift();
}

/** One of `list`, the newest more often; `other` where there is none. */
export function recent(random: Random, list: readonly string[], other: string): string {
  if (list.length === 0) return other;
  return list[Math.floor((1 - random.next() ** 2) * (list.length - 1))] ?? other;
}

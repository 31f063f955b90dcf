/** What queries have in common: the pages of lists, and the sentences for what does not fit. */
import { InferqError } from "../core/errors.ts";
import { isId } from "../core/ids.ts";

/** How many a page has, where the caller does not say. */
export const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

interface PageWish {
  readonly limit: number;
  readonly before: string;
}

/** The parameters of a query, and what each makes of its value; throws with the sentence that says what was expected. */
export type Readers<W> = Readonly<Record<string, (value: string) => Partial<W>>>;

/** Those of every list: how long the page is, and where it begins. */
export const PAGE_READERS: Readonly<Record<"limit" | "cursor", (value: string) => Partial<PageWish>>> = {
  limit: (value) => ({ limit: asLimit(value) }),
  cursor: (value) => ({ before: idOfCursor(value) }),
};

/** What `query` asks for. Throws `bad_request` with a sentence that names the parameter, what was expected and what came. */
export function readQuery<W>(query: Readonly<Record<string, unknown>>, readers: Readers<W>): Partial<W> {
  let wish = {} as Partial<W>;
  for (const [name, value] of Object.entries(query)) {
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (read === undefined) {
      throw bad(`There is no query parameter ${glimpse(name)} here. There are ${Object.keys(readers).join(", ")}.`);
    }
    if (typeof value !== "string") throw bad(`${name} must be given once.`);
    wish = { ...wish, ...read(value) };
  }
  return wish;
}

/** The opaque text that stands for "those after `id`". */
export function cursorOf(id: string): string {
  return Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url");
}

/** The Link header to the next page of `path`, asked for as this one was. */
export function nextLink(base: string, path: string, query: Readonly<Record<string, string>>, cursor: string): string {
  const further = new URLSearchParams({ ...query, cursor });
  return `<${base}${path}?${further.toString()}>; rel="next"`;
}

function idOfCursor(cursor: string): string {
  const hex = Buffer.from(cursor, "base64url").toString("hex");
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  if (isId(id) && cursorOf(id) === cursor) return id;
  throw bad(`cursor must be the next_cursor of the page before, got ${glimpse(cursor)}.`);
}

function asLimit(value: string): number {
  const limit = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw bad(`limit must be a whole number from 1 to ${MAX_LIMIT}, got ${glimpse(value)}.`);
}

/** The client's own text, short enough for a sentence. */
export function glimpse(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60).toWellFormed()}…` : value);
}

export function bad(detail: string): InferqError {
  return new InferqError("bad_request", { detail });
}

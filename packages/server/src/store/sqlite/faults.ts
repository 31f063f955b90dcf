import { InferqError } from "../../core/errors.ts";

/** What SQLite says when a file cannot be opened, as a sentence for the operator. */
const ADVICE: Readonly<Record<number, string>> = {
  8: "Let this user write it, or use another data directory.", // READONLY
  11: "It is damaged: put a copy in its place, or move it away to begin anew.", // CORRUPT
  13: "Make room on its disk, or use another data directory.", // FULL
  14: "Let this user write it, or use another data directory.", // CANTOPEN
  26: "It is damaged: put a copy in its place, or move it away to begin anew.", // NOTADB
};

/** `error`, which opening `path` threw. One that is not SQLite's is a sentence already. */
export function openingFault(path: string, error: unknown): string {
  const { errcode, message } = error as { readonly errcode?: number; readonly message: string };
  if (errcode === undefined) return message;
  return `${path} cannot be opened: ${message}. ${ADVICE[errcode & 0xff] ?? ""}`.trimEnd();
}

/** Answers what `read` does. Throws `store_unavailable` where the file cannot be read. */
export function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if ((error as { errcode?: number }).errcode === undefined) throw error;
    throw new InferqError("store_unavailable", {}, { cause: error });
  }
}

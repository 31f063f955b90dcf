/** What the command line asks of the keys, of a running server or, beside none, of their file. */
import type { ApiKey, ChangedBy, KeyStore, StoredKey } from "../store/keys.ts";

/** Secrets are made by who asks: no command carries one, only its hash. */
export type KeyCommand =
  | { readonly do: "list" }
  | { readonly do: "add"; readonly key: ApiKey }
  | { readonly do: "revoke"; readonly name: string }
  | { readonly do: "rotate"; readonly name: string; readonly hash: string; readonly overlapMs: number };

/** The keys that the command was about as they are now; or, a sentence, why nothing was done. */
export type KeyAnswer =
  | { readonly ok: true; readonly keys: readonly StoredKey[] }
  | { readonly ok: false; readonly sentence: string };

/** Does what `command` says. */
export function obey(keys: KeyStore, command: KeyCommand, by: ChangedBy): KeyAnswer {
  try {
    return { ok: true, keys: done(keys, command, by) };
  } catch (error) {
    // What has a code of SQLite's is its fault; the rest are sentences of the store's.
    const { errcode, message } = error as { readonly errcode?: number; readonly message: string };
    return { ok: false, sentence: errcode === undefined ? message : `The keys could not be changed: ${message}.` };
  }
}

function done(keys: KeyStore, command: KeyCommand, by: ChangedBy): readonly StoredKey[] {
  switch (command.do) {
    case "list":
      return keys.list();
    case "add":
      keys.add(command.key, by);
      return [];
    case "revoke":
      return [keys.revoke(command.name, by)];
    case "rotate":
      return [keys.rotate(command.name, command.hash, command.overlapMs, by)];
  }
}

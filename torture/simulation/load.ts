/**
 * Has the modules of the server find the simulated machine where they look for the real one, and plants
 * bugs into their text. To be imported and called before any of them is loaded.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const SERVER = new URL("../../packages/server/src/", import.meta.url).href;
const PLATFORM = new URL("./platform/", import.meta.url);

const STAND_INS: ReadonlyMap<string, string> = new Map([
  ["node:crypto", "crypto.ts"],
  ["node:fs", "fs.ts"],
  ["node:fs/promises", "fs-promises.ts"],
  ["node:sqlite", "sqlite.ts"],
  ["node:timers/promises", "timers-promises.ts"],
  ["node:worker_threads", "worker-threads.ts"],
]);

/** A change of the server's own text. */
export interface Edit {
  /** Under packages/server/src, such as `store/sqlite/apply.ts`. */
  readonly file: string;
  /** Occurs in it exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Modules of the server that are imported from now on see the simulated machine, with these changes in their text. Throws where one does not apply. */
export function simulateServer(edits: readonly Edit[] = []): void {
  registerHooks({
    resolve(specifier, context, next) {
      const standIn = STAND_INS.get(specifier);
      if (standIn === undefined || context.parentURL?.startsWith(SERVER) !== true) return next(specifier, context);
      return { url: new URL(standIn, PLATFORM).href, shortCircuit: true };
    },
  });
  plant(edits);
}

/** Modules of the server that are imported from now on have these changes in their text. Throws where one does not apply. */
export function plant(edits: readonly Edit[]): void {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const { href } = new URL(file, SERVER);
    const text = texts.get(href) ?? readFileSync(fileURLToPath(href), "utf8");
    const found = text.split(find).length - 1;
    if (found !== 1) throw new Error(`In ${file} there must be once, and is ${found} times: ${find}`);
    texts.set(
      href,
      text.replace(find, () => replace),
    );
  }
  registerHooks({
    load(url, context, next) {
      const text = texts.get(url);
      return text === undefined
        ? next(url, context)
        : { format: "module-typescript", source: text, shortCircuit: true };
    },
  });
}

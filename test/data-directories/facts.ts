/** What is known of a data directory that an older server left, and how it comes back. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

/** Where webhooks go that could not be sent yet: on 127.0.0.1, nobody listened there. */
export const HOOK_PORT = 17_283;

export interface KnownFile {
  readonly path: string;
  readonly sha256: string;
}

export interface KnownRequest {
  /** For people. */
  readonly what: string;
  readonly id: string;
  /** What `GET /v2/requests/{id}` answered; none where the request was unfinished. A long body by its digest. */
  readonly answer?: { readonly status: number; readonly code: string | null; readonly body: string };
  /** Those that its answer names. */
  readonly files?: readonly KnownFile[];
}

export interface Facts {
  readonly left: "stopped" | "killed";
  /** Versions of the schemas of inferq.db and of keys.db. */
  readonly schema: number;
  readonly keysSchema: number;
  /** Of the server that left it. */
  readonly commit: string;
  /** Milliseconds since the epoch. */
  readonly leftAt: number;
  readonly keys: readonly { readonly name: string; readonly secret: string }[];
  readonly asset: KnownFile;
  readonly requests: readonly KnownRequest[];
}

/** The names of all of them, the oldest first. */
export function dataDirectories(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((name) => name.startsWith("schema-"))
    .sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
}

/** A copy of the directory as its server left it, deleted with its owner. */
export function copyOf(name: string): Disposable & { readonly path: string; readonly facts: Facts } {
  const source = join(import.meta.dirname, name);
  const path = mkdtempSync(join(tmpdir(), "inferq-test-"));
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".gz")) continue;
    const from = join(entry.parentPath, entry.name);
    const to = join(path, from.slice(source.length, -".gz".length));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, gunzipSync(readFileSync(from)), { mode: 0o600 });
  }
  const facts = JSON.parse(readFileSync(join(source, "facts.json"), "utf8")) as Facts;
  return { path, facts, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

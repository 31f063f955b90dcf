import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { idMaker } from "../../src/core/ids.ts";
import { idToBytes } from "../../src/store/sqlite/id-bytes.ts";
import { openForWriting } from "../../src/store/sqlite/schema.ts";

/** Rows as `enqueue` writes them for alice at `now`, straight into the file. Answers their ids, made a minute before. */
export function fill(path: string, count: number, now: number): string[] {
  mkdirSync(path, { recursive: true });
  const db = openForWriting(join(path, "inferq.db"));
  const input = db.prepare("INSERT INTO inputs (number, json) VALUES (?, '{}')");
  const request = db.prepare(
    `INSERT INTO requests (id, status, model, owner, priority, files, created_at, expires_at, not_before, leases, attempts,
      crashes, input, api_key) VALUES (?, 0, 'mock', 'alice', 0, 0, ?, ?, ?, 0, 0, 0, ?, 'alice')`,
  );
  const nextId = idMaker({ now: () => now - 60_000 });
  const ids = Array.from({ length: count }, nextId);
  db.exec("BEGIN");
  for (const [i, id] of ids.entries()) {
    input.run(i);
    request.run(idToBytes(id, new Uint8Array(16)), now, now + 3_600_000, now, i);
  }
  db.exec("COMMIT");
  db.close();
  return ids;
}

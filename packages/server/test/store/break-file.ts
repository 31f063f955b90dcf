import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";

/** Makes every commit that needs `table` of the file at `path` fail until the answer is called. */
export function breakFile(path: string, table: "requests" | "deliveries" = "requests"): () => void {
  const file = new DatabaseSync(join(path, "inferq.db"), { timeout: 5_000 });
  onTestFinished(() => file.close());
  file.exec(`ALTER TABLE ${table} RENAME TO hidden`);
  return () => file.exec(`ALTER TABLE hidden RENAME TO ${table}`);
}

/** Resolves when the store has opened its file again and knows what is in it. */
export async function mended(store: SqliteStore): Promise<void> {
  await expect.poll(() => store.deliveries.giveUp(0, 0, 1).then(() => "open", String), { timeout: 5_000 }).toBe("open");
  await store.loaded();
}

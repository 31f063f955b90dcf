/**
 * A dead receiver may leave a million deliveries, and they stand in nobody's way: no statement on deliveries
 * walks through them. What SQLite says it is going to do is looked at, for time proves nothing.
 */
import type { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, it } from "vitest";
import { DeliveryReader } from "../../src/store/sqlite/delivery-reader.ts";
import { DeliveryRows } from "../../src/store/sqlite/delivery-rows.ts";
import { openForWriting } from "../../src/store/sqlite/schema.ts";
import { directory } from "./directory.ts";

it("in every statement, but for the count at a start", () => {
  using db = openForWriting(join(directory(), "inferq.db"));
  const walks = statementsOf(db).filter((sql) => {
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
    return plan.some(({ detail }) => /^SCAN (?!hosts|CONSTANT)|TEMP B-TREE/.test(String(detail)));
  });
  expect(walks).toEqual([expect.stringContaining("SELECT count(*)")]);
});

/** The texts of all statements that read and write deliveries. */
function statementsOf(db: DatabaseSync): string[] {
  const texts: string[] = [];
  const listening = new Proxy(db, {
    get: (target, name) => (name === "prepare" ? (sql: string) => (texts.push(sql), target.prepare(sql)) : undefined),
  });
  expect([new DeliveryRows(listening), new DeliveryReader(listening)]).toHaveLength(2);
  expect(texts.length).toBeGreaterThan(15);
  return texts;
}

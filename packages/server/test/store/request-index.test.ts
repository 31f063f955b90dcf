import * as fc from "fast-check";
import { expect, it } from "vitest";
import { idMaker } from "../../src/core/ids.ts";
import { idToBytes } from "../../src/store/sqlite/id-bytes.ts";
import { QUEUED } from "../../src/store/sqlite/messages.ts";
import { RequestIndex } from "../../src/store/sqlite/request-index.ts";
import { SlotTable } from "../../src/store/sqlite/slot-table.ts";

const entry = {
  model: "mock",
  owner: "alice",
  key: "alice",
  status: QUEUED,
  priority: 0,
  leases: 0,
  createdAt: 1,
  expiresAt: 1e15,
  due: 0,
  startDeadline: null,
  startedAt: null,
};

it("finds every id that is in it, and no other, however they come and go", () => {
  // Few shards and homes, so that ids collide: the last word decides where an id goes.
  const id = fc
    .tuple(fc.nat({ max: 3 }), fc.nat({ max: 2 }), fc.nat({ max: 40 }))
    .map(([shard, home, n]) => `01970000-0000-7000-8000-${hex(n, 4)}0000${hex(home, 2)}${hex(shard, 2)}`);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), id), { maxLength: 300, size: "max" }), (steps) => {
      const table = new SlotTable();
      const slots = new Map<string, number>();
      for (const [add, text] of steps) {
        const slot = slots.get(text);
        expect(table.find(text)).toBe(slot ?? -1);
        if (add && slot === undefined) slots.set(text, table.addText(text));
        if (!add && slot !== undefined) {
          table.forget(slot);
          table.free(slot);
          slots.delete(text);
        }
      }
      for (const [text, slot] of slots) {
        expect(table.find(text)).toBe(slot);
        expect(table.id(slot)).toBe(text);
      }
      expect(new Set(slots.values()).size).toBe(slots.size);
    }),
  );
});

it("keeps a bounded number of finished requests, the latest", () => {
  const index = new RequestIndex();
  const nextId = idMaker({ now: () => 1_000 });
  const ids = Array.from({ length: 100_050 }, nextId);
  for (const id of ids) {
    index.add(id, entry, 1);
    index.take("mock", 1, 1);
    index.leased(id, 10, 1);
    index.completed(id, 5, 2);
  }
  expect(ids.findIndex((id) => index.status(id, 3) !== undefined)).toBe(50);
  expect(index.status(ids.at(-1)!, 3)).toMatchObject({ status: "COMPLETED", inferenceMs: 5, finishedAt: 2 });
  for (const id of ids.slice(50)) index.remove(id);
  expect(ids.some((id) => index.status(id, 3) !== undefined)).toBe(false);
});

it("tells nothing by a text that is no id, whatever it was asked before", () => {
  const index = new RequestIndex();
  const [gone, next] = ["01970000-0000-7000-8000-000000000001", "01970000-0000-7000-8000-000000000002"];
  index.loaded(1);
  index.add(gone, entry, 1);
  index.take("mock", 1, 1);
  expect(index.status(gone, 1)).toBeDefined();
  index.remove(gone);
  index.add(next, entry, 1); // in the place of the one that is gone
  for (const text of ["", "x", gone]) expect(index.outlook(text, 1)).toBeUndefined();
  expect(index.outlook(next, 1)).toMatchObject({ position: 1 });
});

it.each([1, 500])("does not grow when a model nobody runs gets requests of %i keys that expire", (keys) => {
  const index = new RequestIndex();
  const nextId = idMaker({ now: () => 1_000 });
  const before = process.memoryUsage().arrayBuffers;
  for (let round = 0; round < 20; round++) {
    const ids = Array.from({ length: 5_000 }, nextId);
    for (const [i, id] of ids.entries()) {
      index.add(idToBytes(id, new Uint8Array(16)), { ...entry, key: `key${i % keys}` }, 1);
    }
    for (const id of ids) index.remove(id);
  }
  index.add(nextId(), entry, 1);
  expect(index.take("mock", 10, 1)).toHaveLength(1);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5e6);
});

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

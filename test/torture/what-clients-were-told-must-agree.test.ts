/** The torture's ledger, which must see every contradiction: a checker that finds nothing proves nothing. */
import { expect, test } from "vitest";
import { Ledger } from "../../torture/lib/ledger.ts";

const SUBMITTED = { askedAt: 1_000, answeredAt: 1_100 };

/** When something was asked and answered, ms. */
function at(askedAt: number): { readonly askedAt: number; readonly answeredAt: number } {
  return { askedAt, answeredAt: askedAt + 100 };
}

function found(
  tell: (ledger: Ledger<string>, entry: ReturnType<Ledger<string>["submitted"]>) => void,
  lifeMs?: number,
): string[] {
  const ledger = new Ledger<string>();
  tell(ledger, ledger.submitted("r1", "a request", SUBMITTED, lifeMs));
  return ledger.problems.map(({ what }) => what);
}

test("an outcome that is told again as it was is none", () => {
  const problems = found((ledger, entry) => {
    ledger.pending(entry, "QUEUED", "status", at(2_000));
    ledger.finished(entry, { status: "COMPLETED" }, "status", at(3_000));
    ledger.finished(entry, { status: "COMPLETED", result: "a" }, "result", at(4_000));
    ledger.outcome(entry, { status: "COMPLETED", result: "a" }, "webhook", 5_000);
  });
  expect(problems).toEqual([]);
});

test.each([
  ["another status", { status: "FAILED" }],
  ["another result", { status: "COMPLETED", result: "b" }],
] as const)("%s than was told before", (_, outcome) => {
  const problems = found((ledger, entry) => {
    ledger.finished(entry, { status: "COMPLETED", result: "a" }, "result", at(2_000));
    ledger.outcome(entry, outcome, "webhook", 3_000);
  });
  expect(problems).toHaveLength(1);
});

test("a request that fails for another reason than was told", () => {
  const problems = found((ledger, entry) => {
    ledger.finished(entry, { status: "FAILED", code: "cancelled" }, "cancel", at(2_000));
    ledger.finished(entry, { status: "FAILED", code: "lease_lost" }, "list", at(3_000));
  });
  expect(problems).toEqual(["double: list tells code lease_lost where cancelled was told before"]);
});

test("an outcome that is taken back; but what was asked before it was told may not know it", () => {
  const problems = found((ledger, entry) => {
    ledger.finished(entry, { status: "COMPLETED" }, "status", at(2_000));
    ledger.pending(entry, "PROCESSING", "an earlier status", at(2_050));
    ledger.pending(entry, "QUEUED", "a later status", at(2_200));
  });
  expect(problems).toEqual(["double: a later status says QUEUED after COMPLETED was told"]);
});

test("a request that is gone, unless it was deleted or its life is over", () => {
  const gone = (ledger: Ledger<string>, entry: ReturnType<Ledger<string>["submitted"]>): void =>
    ledger.gone(entry, "status", at(10_000));
  expect(found(gone)).toEqual(["lost: status says that there is no such request"]);
  expect(found(gone, 20_000)).toHaveLength(1);
  expect(found(gone, 8_000)).toEqual([]);
  const deleted = found((ledger, entry) => {
    ledger.deleting(entry);
    ledger.gone(entry, "status", { askedAt: Date.now(), answeredAt: Date.now() });
  });
  expect(deleted).toEqual([]);
});

test("a request that is there after it was deleted, or after its life", () => {
  const deleted = found((ledger, entry) => {
    ledger.deleting(entry);
    ledger.deleted(entry, at(2_000));
    ledger.finished(entry, { status: "COMPLETED" }, "status", at(3_000));
  });
  expect(deleted).toEqual(["status tells of it after it was deleted"]);
  const outlived = found(
    (ledger, entry) => ledger.finished(entry, { status: "COMPLETED" }, "status", at(9_000)),
    3_000,
  );
  expect(outlived).toEqual(["status tells of it after its life of 3000 ms"]);
});

test("its history tells what was seen, once each", () => {
  const ledger = new Ledger<string>();
  const entry = ledger.submitted("r1", "a request", SUBMITTED);
  ledger.pending(entry, "QUEUED", "status", at(2_000));
  ledger.pending(entry, "QUEUED", "status", at(3_000));
  ledger.finished(entry, { status: "COMPLETED" }, "status", at(4_000));
  const told = ledger.history("r1").map((line) => line.replace(/^\S+Z /, ""));
  expect(told).toEqual(['"a request"', "submit: answered", "status: QUEUED", "status: COMPLETED"]);
  expect(ledger.unfinished).toBe(0);
});

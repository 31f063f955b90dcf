import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { sqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { deliverySuite } from "../../src/testing/delivery-suite.ts";
import { eventLogSuite } from "../../src/testing/event-log-suite.ts";
import { storeModel } from "../../src/testing/store-model.ts";
import { storeSuite } from "../../src/testing/store-suite.ts";
import type { StoreFactory } from "../../src/testing/store-suite/under-test.ts";

const parent = mkdtempSync(join(tmpdir(), "inferq-store-"));
afterAll(() => rmSync(parent, { recursive: true, force: true }));
const open: StoreFactory = (clock, retriesOf) =>
  sqliteStore({ directory: mkdtempSync(join(parent, "data-")), clock, ...(retriesOf && { retriesOf }) });

storeSuite("sqlite", open);
storeModel("sqlite", open);
deliverySuite("sqlite", open);
eventLogSuite("sqlite", open);

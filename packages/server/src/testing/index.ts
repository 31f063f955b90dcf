/** The suites that every driver must pass, and what tests are made with. Needs vitest and fast-check beside it. */
export { blobSuite } from "./blob-suite.ts";
export type { BlobFixture } from "./blob-suite.ts";
export { manualClock } from "./clock.ts";
export type { ManualClock } from "./clock.ts";
export { deliverySuite } from "./delivery-suite.ts";
export { eventLogSuite } from "./event-log-suite.ts";
export { runnerSuite } from "./runner-suite.ts";
export type { RunnerFixture } from "./runner-suite.ts";
export { storeModel } from "./store-model.ts";
export { storeSuite } from "./store-suite.ts";
export type { StoreFactory } from "./store-suite/under-test.ts";
export { submissionMaker } from "./submission.ts";

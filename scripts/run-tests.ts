/**
 * `npm test [-- filters] [--no-skips] [--results=FILE]`: runs vitest once. At the end it names every
 * skipped test with its reason; where skips are failures (`CI=true` or `--no-skips`) any of them fails the run.
 */
import { writeFileSync } from "node:fs";
import { type TestCase, startVitest } from "vitest/node";

const args = process.argv.slice(2);
const filters = args.filter((arg) => !arg.startsWith("--"));
const resultsFile = args.find((arg) => arg.startsWith("--results="))?.slice("--results=".length);
const skipsFail = args.includes("--no-skips") || process.env.CI === "true";

const vitest = await startVitest(filters, { watch: false, passWithNoTests: false });
const tests = vitest.state.getTestModules().flatMap((module) => [...module.children.allTests()]);
const passed = tests.filter((test) => test.result().state === "passed");
const skipped = tests.filter((test) => test.result().state === "skipped");
const failed = tests.length - passed.length - skipped.length;
// A file that cannot be loaded, or an error that escaped, has no test of its own to fail.
const brokenModules = vitest.state.getTestModules().filter((module) => module.errors().length > 0).length;
const strayErrors = vitest.state.getUnhandledErrors().length;

if (skipped.length > 0) {
  console.log(`\n${skipped.length} skipped${skipsFail ? ", which counts as failed here" : ""}:`);
  for (const test of skipped) console.log(`  ${test.module.relativeModuleId} > ${test.fullName}: ${reason(test)}`);
}
const failures = failed + brokenModules + strayErrors + (skipsFail ? skipped.length : 0);
if (resultsFile !== undefined) {
  writeFileSync(resultsFile, JSON.stringify({ passed: passed.length, failed: failures }));
}
await vitest.close();
process.exitCode = failures > 0 || tests.length === 0 ? 1 : 0;

function reason(test: TestCase): string {
  const result = test.result();
  return (result.state === "skipped" ? result.note : undefined) ?? "no reason given";
}

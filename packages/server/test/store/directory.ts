import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A data directory that is gone after the test. */
export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "inferq-store-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

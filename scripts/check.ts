/**
 * `npm run check [-- --results=FILE]`: everything that can be said about the sources without running
 * them. One line per step; what a failed step printed stands under it; the last line sums up.
 */
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

interface Step {
  readonly name: string;
  /** Commands run in order; the first that fails ends the step. */
  readonly commands: readonly (readonly string[])[];
}

const require = createRequire(import.meta.url);
const NODE = process.execPath;

const STEPS: readonly Step[] = [
  { name: "format", commands: [tool("oxfmt", "--check", ".")] },
  { name: "lint", commands: [tool("oxlint", "--type-aware", "--deny-warnings")] },
  {
    name: "types",
    commands: [
      tool("typescript:tsc", "-p", "tsconfig.json"),
      tool("typescript:tsc", "-p", "packages/server/tsconfig.build.json", "--noEmit"),
    ],
  },
  { name: "unused code", commands: [tool("knip")] },
  {
    name: "packages",
    commands: [
      tool("typescript:tsc", "-p", "packages/server/tsconfig.build.json"),
      tool("typescript:tsc", "-p", "packages/models/tsconfig.build.json"),
      tool("publint", "packages/server", "--strict"),
      tool("publint", "packages/models", "--strict"),
      // As published: no source condition, JavaScript only.
      [NODE, "packages/server/dist/cli.js", "--version"],
      [
        NODE,
        "--input-type=module",
        "-e",
        `for (const name of ["inferq", "inferq/model", "inferq/mock-inference"]) await import(name);`,
      ],
    ],
  },
  { name: "import floors", commands: [[NODE, "scripts/check-imports.ts"]] },
  { name: "docs", commands: [[NODE, "scripts/check-docs.ts"]] },
];

for (const directory of ["packages/server/dist", "packages/models/dist"])
  rmSync(directory, { recursive: true, force: true });
const failed: string[] = [];
for (const step of STEPS) {
  const startedAt = performance.now();
  const fault = runStep(step);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${fault === undefined ? "ok    " : "FAILED"}  ${step.name.padEnd(14)} ${seconds.padStart(6)} s`);
  if (fault === undefined) continue;
  failed.push(step.name);
  console.log(fault.trim().replace(/^/gm, "        "));
}
const results = process.argv.find((arg) => arg.startsWith("--results="))?.slice("--results=".length);
if (results !== undefined) {
  writeFileSync(results, JSON.stringify({ passed: STEPS.length - failed.length, failed: failed.length }));
}
console.log(
  failed.length === 0 ? "All checks passed." : `${failed.length} of ${STEPS.length} failed: ${failed.join(", ")}.`,
);
process.exitCode = failed.length > 0 ? 1 : 0;

/** What the first failing command of `step` printed, or undefined. */
function runStep(step: Step): string | undefined {
  for (const [file = "", ...args] of step.commands) {
    const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
    if (status !== 0) return `${args.join(" ")}\n${error?.message ?? ""}${stdout}${stderr}`;
  }
  return undefined;
}

/** The command line of an installed tool, `package` or `package:bin`, run on this very Node. */
function tool(spec: string, ...args: string[]): string[] {
  const [name = "", bin = name] = spec.split(":");
  const manifest = join(packageDirectory(name), "package.json");
  const { bin: bins } = require(manifest) as { bin: string | Record<string, string> };
  const path = typeof bins === "string" ? bins : bins[bin];
  if (path === undefined) throw new Error(`${name} has no command ${bin}`);
  return [NODE, join(dirname(manifest), path), ...args];
}

function packageDirectory(name: string): string {
  return join(import.meta.dirname, "..", "node_modules", name);
}

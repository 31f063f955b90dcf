/** Holds the floors of DESIGN: imports in packages/server/src run downwards only, and model packages see `inferq/model` alone. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** Lowest first. A part imports itself and parts on lower floors, never its neighbours. */
const FLOORS: readonly (readonly string[])[] = [
  ["core"],
  ["model", "blob", "net"],
  ["store", "media", "config"],
  ["wire", "runner", "telemetry"],
  ["gateway", "worker", "webhook"],
  ["server"],
  ["cli", "index"],
];
const SERVER = "packages/server/src";
const IMPORT = /\b(?:from\s+|import\s+|import\()"([^"]+)"/g;

const faults = [...serverFaults(), ...modelFaults()];
for (const fault of faults) console.log(fault);
process.exitCode = faults.length > 0 ? 1 : 0;

function* serverFaults(): Generator<string> {
  for (const file of globSync(`${SERVER}/**/*.ts`)) {
    const part = partOf(file);
    if (part === "testing") continue;
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith(".")) {
        if (part === "core" && !specifier.startsWith("node:"))
          yield `${file}: core imports nothing, got "${specifier}"`;
        continue;
      }
      const target = partOf(join(dirname(file), specifier));
      if (target === part) continue;
      if (target === "testing") yield `${file}: only tests import testing, got "${specifier}"`;
      else if (floorOf(target) >= floorOf(part)) {
        yield `${file}: ${part} may import only what lies below it, got "${specifier}" (${target})`;
      }
    }
  }
}

function* modelFaults(): Generator<string> {
  for (const file of globSync("packages/models/src/**/*.ts")) {
    for (const specifier of importsOf(file)) {
      const foreign = specifier.startsWith(".")
        ? relative("packages/models", join(dirname(file), specifier)).startsWith("..")
        : /^inferq(\/|$)/.test(specifier) && specifier !== "inferq/model";
      if (foreign) yield `${file}: models import "inferq/model" and nothing else of the server, got "${specifier}"`;
    }
  }
}

/** The part a file belongs to: its directory under src, or its own name for a file at the top. */
function partOf(file: string): string {
  const [first = ""] = relative(SERVER, file).split(/[\\/]/);
  return first.replace(/\.ts$/, "");
}

function floorOf(part: string): number {
  const floor = FLOORS.findIndex((parts) => parts.includes(part));
  if (floor === -1) throw new Error(`scripts/check-imports.ts knows no floor for packages/server/src/${part}`);
  return floor;
}

function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(IMPORT)].map((match) => match[1] ?? "");
}

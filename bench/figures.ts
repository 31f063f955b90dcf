/** What the bench finds: figures with their targets, shown as a table and written as JSON. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import { dirname } from "node:path";

export interface Figure {
  readonly what: string;
  readonly got: number;
  readonly unit: string;
  /** The bound, and which side of it is good. Without it the figure only informs. */
  readonly target?: { readonly atLeast: number } | { readonly below: number };
  /** How it came about: the floor's figure, the parts of a ratio. */
  readonly detail: string;
  /** All measurements behind the figure. */
  readonly raw: Readonly<Record<string, unknown>>;
}

export function met({ got, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  return "atLeast" in target ? got >= target.atLeast : got < target.below;
}

/** The table, in Markdown, so that it can be pasted. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.what,
    target(figure),
    `${number(figure.got)}${figure.unit === "" ? "" : ` ${figure.unit}`}`,
    { true: "yes", false: "NO", undefined: "" }[`${met(figure)}`],
    figure.detail,
  ]);
  const all = [["what", "target", "got", "met", "how"], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(all[0]!), line(widths.map((width) => "-".repeat(width))), ...all.slice(1).map(line)].join("\n");
}

export function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Writes the figures with what is needed to judge them: machine, load, commit, options. */
export function writeJson(path: string, figures: readonly Figure[], options: Readonly<Record<string, unknown>>): void {
  const run = {
    date: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    machine: { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), memory: os.totalmem(), load: os.loadavg() },
    options,
    figures: figures.map((figure) => ({ ...figure, met: met(figure) })),
  };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(run, null, 2)}\n`);
}

function target(figure: Figure): string {
  if (figure.target === undefined) return "";
  return "atLeast" in figure.target ? `≥ ${number(figure.target.atLeast)}` : `< ${number(figure.target.below)}`;
}

/** The commit measured, marked when files differ from it; null outside a clone. */
function commit(): string | null {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return null;
  }
}

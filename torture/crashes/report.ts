/** What a run tells: a line now and then, one table at its end, and on failure all that is known of what broke. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "./world.ts";

const MB = 2 ** 20;

/** How it goes. */
export function line({ ledger, lives, receivers, answers }: World, startedAt: number): string {
  const told = receivers.reduce((sum, receiver) => sum + receiver.told.size, 0);
  return (
    `${seconds(startedAt)} s: life ${lives.count}, ${ledger.size} submits answered, ${ledger.unfinished} without an outcome, ` +
    `${told} webhooks, ${answers} answers, ${ledger.problems.length} problems`
  );
}

/** One table, when all is over. */
export function table(world: World, blows: ReadonlyMap<string, number>, startedAt: number): string {
  const { ledger, lives, receivers, lost, answers } = world;
  const outcomes = new Map<string, number>();
  for (const { outcome, deletion, lifeMs } of ledger.entries()) {
    const gone = deletion === null ? (lifeMs === null ? "lost" : "expired unseen") : "deleted unseen";
    const name = outcome === null ? gone : (outcome.code ?? outcome.status);
    outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
  }
  const told = receivers.flatMap((receiver) => [...receiver.told.values()]);
  const problems = ledger.problems.map(({ what }) => what);
  const rows: (readonly [string, string | number])[] = [
    ["minutes", (Number(seconds(startedAt)) / 60).toFixed(1)],
    ["lives of the server", lives.count],
    ...[...blows].toSorted(([, a], [, b]) => b - a),
    ["submits answered", ledger.size],
    ["submits whose answers were lost", lost],
    ["answers of all kinds", answers],
    ...[...outcomes].toSorted(([, a], [, b]) => b - a).map(([name, count]) => [`  ${name}`, count] as const),
    ["webhooks told", told.length],
    ["  told again", told.reduce((sum, { tries }) => sum + tries - 1, 0)],
    ["memory of the server, at most, MB", Math.round(Math.max(...lives.past.map(({ memory }) => memory)) / MB)],
    ["lost", problems.filter((what) => what.startsWith("lost")).length],
    ["double", problems.filter((what) => what.startsWith("double")).length],
    ["other problems", problems.filter((what) => !/^(lost|double)/.test(what)).length],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${String(value).padStart(8)}`).join("\n");
}

/** What broke: the first problems with the whole history of their requests; all of them go into a file beside the data directory, whose path it tells. */
export function problems({ ledger }: World, home: string, marks: string): string {
  const lines = readFileSync(marks, "utf8").split("\n");
  const tell = ({ what, id }: { readonly what: string; readonly id?: string }): string => {
    if (id === undefined) return `- ${what}`;
    const nonce = ledger.get(id)?.facts.nonce;
    const runs = lines.filter(
      (each) => each.split(" ")[2] === id || (nonce !== undefined && each.split(" ")[1] === nonce),
    );
    return [
      `- ${id}: ${what}`,
      ...ledger.history(id).map((each) => `    ${each}`),
      ...runs.map((each) => `    run ${each}`),
    ].join("\n");
  };
  writeFileSync(join(home, "problems.txt"), ledger.problems.slice(0, 1_000).map(tell).join("\n"));
  return `${ledger.problems.slice(0, 5).map(tell).join("\n")}\n${ledger.problems.length} problems. The data directory, the log, the marks of the runs and all problems are kept in ${home}`;
}

export function seconds(startedAt: number): string {
  return ((Date.now() - startedAt) / 1000).toFixed(0);
}

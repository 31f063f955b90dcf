/**
 * `npm run torture [-- PART [options]]`: tries to make inferq lose a request. Without a part all of
 * them run, one after the other, at the figures that docs/guarantees.md names.
 */
interface Part {
  /** Runs it, telling how it goes on stdout. False: a promise was broken. */
  readonly run: (args: readonly string[]) => Promise<boolean>;
}

/** Each in a directory of its own, in the order in which they run. */
const PARTS = ["simulation", "planted", "crashes", "power", "disk", "fuzz"];

const [part, ...args] = process.argv.slice(2);
if (part !== undefined && !PARTS.includes(part)) {
  console.error(`No such part: ${part}. There are: ${PARTS.join(", ")}.`);
  process.exit(2);
}
const broken: string[] = [];
for (const name of part === undefined ? PARTS : [part]) {
  console.log(`\n${name}`);
  const { run } = (await import(`./${name}/run.ts`)) as Part;
  if (!(await run(args))) broken.push(name);
}
console.log(broken.length === 0 ? "\nEvery promise was kept." : `\nBroken: ${broken.join(", ")}.`);
process.exit(broken.length === 0 ? 0 : 1);

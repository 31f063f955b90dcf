/** Every relative link and picture in the Markdown of the repository leads to a file that exists, and docs/decisions.md names every dependency. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const LINK = /\]\(([^)\s]+)[^)]*\)/g;
const pages = globSync(["*.md", "docs/**/*.md", "packages/*/*.md", "examples/**/*.md"], {
  exclude: (path) => path.includes("node_modules"),
});
let broken = 0;
for (const page of pages) {
  for (const [, target = ""] of readFileSync(page, "utf8").matchAll(LINK)) {
    if (/^([a-z]+:|#)/.test(target)) continue;
    const path = join(dirname(page), target.replace(/#.*/, ""));
    if (existsSync(path)) continue;
    console.log(`${page}: "${target}" leads nowhere`);
    broken += 1;
  }
}

const decisions = readFileSync("docs/decisions.md", "utf8");
for (const manifest of globSync(["package.json", "packages/*/package.json"])) {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(manifest, "utf8")) as Record<
    string,
    Record<string, string> | undefined
  >;
  for (const name of Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
    if (decisions.includes(`\`${name}\``)) continue;
    console.log(`${manifest}: docs/decisions.md does not say why "${name}" is here`);
    broken += 1;
  }
}
process.exitCode = broken > 0 ? 1 : 0;

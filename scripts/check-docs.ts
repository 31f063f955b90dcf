/** Every relative link and picture in the Markdown of the repository leads to a file that exists. */
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
process.exitCode = broken > 0 ? 1 : 0;

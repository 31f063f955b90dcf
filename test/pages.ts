/** The pages of the repository as their readers use them: what stands in a fenced block is pasted into a shell. */
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { KEY, type RealServer } from "./real-server.ts";

const run = promisify(execFile);
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));

/** Why commands that need `programs` cannot be pasted on this machine, or undefined. */
export function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => spawnSync("bash", ["-c", `command -v ${program}`]).status !== 0);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}

/** The fenced blocks of `page` (a path in the repository) in one of `languages`, in the page's order. */
export function blocks(page: string, ...languages: readonly string[]): string[] {
  return [...readFileSync(join(ROOT, page), "utf8").matchAll(/```(\w+)\n(.*?)```/gs)]
    .filter(([, language]) => languages.includes(language!))
    .map(([, , text]) => text!);
}

/** The only block in one of `languages` that contains `text`. */
export function blockWith(page: string, text: string, ...languages: readonly string[]): string {
  const found = blocks(page, ...languages).filter((block) => block.includes(text));
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks with "${text}", expected one`);
  return found[0]!;
}

/** Runs `commands` in a shell in `directory`, with the address and the key of `server`; answers what they print. */
export async function paste(
  commands: string,
  server: RealServer,
  directory: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const text = commands.replaceAll("http://127.0.0.1:8787", server.base).replaceAll("sg_…", KEY);
  const options = { cwd: directory, env: { ...process.env, KEY, ...env } };
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", text], options);
  return stdout;
}

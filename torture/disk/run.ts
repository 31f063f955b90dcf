/**
 * `npm run torture -- disk [--seed N]`: a real server on a small file system under load, which is filled to the last
 * byte, made read-only, slow and broken, and is well again after a while. Every answer in between is 200 or a 503
 * that its client can act on, what is stored goes on being read, no request is lost or runs again for it, and
 * service is back within 5 s.
 *
 * The file system is mounted in a mount namespace of its own, so that nothing is left however this ends; a user
 * that is not root has one in a user namespace, where the system lets it.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LONG, type Plan } from "./rounds.ts";

const ROUNDS = fileURLToPath(new URL("./rounds.ts", import.meta.url));
const UNSHARE = process.getuid?.() === 0 ? ["--mount"] : ["--map-root-user", "--mount"];

/** Why no file system can be mounted here; undefined where one can. */
export function whyNoDisk(): string | undefined {
  const tried = spawnSync("unshare", [...UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], { encoding: "utf8" });
  if (tried.error !== undefined) return `unshare cannot be run: ${tried.error.message}`;
  return tried.status === 0 ? undefined : `no file system can be mounted: ${tried.stderr.trim()}`;
}

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({ args: [...args], options: { seed: { type: "string" } } });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!Number.isInteger(seed)) throw new Error("--seed must be a whole number.");
  const reason = whyNoDisk();
  if (reason !== undefined) throw new Error(reason);
  let kept = true;
  for (const reserve of [0, 4 * 2 ** 20]) {
    console.log(`seed ${seed}, ${reserve} bytes are to stay free`);
    const { code, output } = await torture({ ...LONG, seed, reserve });
    console.log(output.trimEnd());
    kept &&= code === 0;
  }
  return kept;
}

/** One run in a mount namespace of its own. */
export async function torture(plan: Plan): Promise<{ readonly code: number | null; readonly output: string }> {
  const node = [process.execPath, "--conditions=@inferq/source", ROUNDS, JSON.stringify(plan)];
  const child = spawn("unshare", [...UNSHARE, ...node], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export interface StoreProcess {
  readonly process: ChildProcess;
  /** Every line it has printed. */
  readonly lines: string[];
  /** Resolves with the first line from here on that `match` answers true for. */
  line(match: (line: string) => boolean): Promise<string>;
  /** kill -9, and wait until it is gone and all it printed is read. */
  kill(): Promise<void>;
}

/** Starts `child.ts` on `directory`, `under` another program if one is given; it never outlives the test. */
export function storeProcess(
  directory: string,
  lanes: number,
  { mode = "submit", under = [] }: { mode?: "submit" | "lease" | "keyed" | "settle"; under?: readonly string[] } = {},
): StoreProcess {
  const script = fileURLToPath(new URL("./child.ts", import.meta.url));
  const [program, ...words] = [...under, process.execPath, script, directory, String(lanes), mode];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"], detached: true });
  // The whole group: killing strace alone would leave what it runs.
  const kill = (): boolean =>
    child.exitCode === null && child.signalCode === null && process.kill(-child.pid!, "SIGKILL");
  onTestFinished(() => void kill());
  const output = createInterface(child.stdout);
  const closed = once(output, "close");
  const lines: string[] = [];
  output.on("line", (line) => lines.push(line));
  return {
    process: child,
    lines,
    async line(match): Promise<string> {
      return new Promise((resolve, reject) => {
        const listen = (line: string): void => {
          if (!match(line)) return;
          output.off("line", listen);
          resolve(line);
        };
        output.on("line", listen);
        void closed.then(() => reject(new Error(`The process ended. It said: ${lines.slice(-3).join(" | ")}`)));
      });
    },
    async kill(): Promise<void> {
      kill();
      await closed;
    },
  };
}

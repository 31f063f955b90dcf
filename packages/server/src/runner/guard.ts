/**
 * Ends the processes of models when their server is gone. A child leads its own process group, so
 * nothing that happens to the server reaches it: kill -9 runs no handler, and a child that is busy in
 * native code reads no pipe. Two things do:
 *
 * the guard, a shell of a few hundred kilobytes in a session of its own, is told each group through
 * its stdin and kills those it knows when this pipe closes, as the kernel does however a server ends;
 *
 * `endLeftovers`, at the next start, finds what even that missed (a power cut of the guard, a
 * grandchild that left its group) by a marker which every child and what it starts carry in their environment.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { readFile, readdir, stat } from "node:fs/promises";
import { promisify } from "node:util";

export interface Guard extends AsyncDisposable {
  /** Watches a process group: it ends when this process does. Call before the group may do any work. */
  add(pgid: number): void;
  /** Forgets a group that has ended. */
  remove(pgid: number): void;
}

const SCRIPT = `
trap '' INT TERM HUP
groups=$1
while read -r op pgid; do
  case $op in
    +) groups="$groups $pgid" ;;
    -) kept=
       for g in $groups; do [ "$g" = "$pgid" ] || kept="$kept $g"; done
       groups=$kept ;;
  esac
done
for g in $groups; do kill -KILL "-$g" 2>/dev/null; done
`;

/**
 * Starts the guard; one serves a whole server. A guard that dies is replaced. `warn` is told where
 * none can run (no /bin/sh, Windows): models are then ended by a graceful stop and at the next start only.
 */
export function startGuard(warn: (message: string) => void): Guard {
  const groups = new Set<number>();
  let shell: ChildProcess | undefined;
  let closing = false;

  function begin(): void {
    // As an argument, for the server may be killed before it writes anything to a new guard.
    const child = spawn("/bin/sh", ["-c", SCRIPT, "inferq-guard", [...groups].join(" ")], {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    shell = child;
    child.on("error", (error) => warn(`No guard against leftover processes: ${error.message}`));
    child.stdin?.on("error", () => {}); // it died; "exit" tells. There is none where there are no descriptors left.
    child.on("exit", () => {
      if (!closing) setTimeout(() => !closing && begin(), 100).unref();
    });
    // Neither the process nor its pipe keeps the server alive: when the server has nothing left to do, it ends and the guard with it.
    child.unref();
    (child.stdin as unknown as { unref(): void } | null | undefined)?.unref();
  }

  begin();
  return {
    add(pgid) {
      groups.add(pgid);
      shell?.stdin?.write(`+ ${pgid}\n`);
    },
    remove(pgid) {
      groups.delete(pgid);
      shell?.stdin?.write(`- ${pgid}\n`);
    },
    async [Symbol.asyncDispose]() {
      closing = true;
      if (shell === undefined || shell.pid === undefined || shell.exitCode !== null || shell.signalCode !== null)
        return;
      const gone = new Promise((resolve) => shell!.once("exit", resolve));
      shell.ref();
      shell.stdin!.end();
      await gone;
    },
  };
}

/** Name of the environment variable that marks the processes of one data directory. */
export const MARKER: string = "INFERQ_DATA";

/** The marker's value for a data directory: the same however its path is written, another for a copy of it. */
export async function dataMarker(directory: string): Promise<string> {
  const { dev, ino } = await stat(directory, { bigint: true });
  return `${dev}-${ino}`;
}

/**
 * Kills the processes that an earlier server of this data directory left behind, and resolves with
 * how many they were when all are gone. Call while holding the directory's lock, before anything is leased.
 * Rejects if one cannot be ended within 10 s (it hangs in the kernel): two would then run the same model.
 */
export async function endLeftovers(marker: string): Promise<number> {
  const killed = new Set<number>();
  const giveUpAt = performance.now() + 10_000;
  // Killed anew until none is found: what forks while we look is found by the next look.
  for (let found = await leftovers(marker); found.length > 0; found = await leftovers(marker)) {
    if (performance.now() > giveUpAt) {
      throw new Error(
        `Processes of an earlier server do not end when killed: ${found.join(", ")}. Restart the machine.`,
      );
    }
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return killed.size;
}

async function leftovers(marker: string): Promise<number[]> {
  const entry = `${MARKER}=${marker}`;
  const pids = process.platform === "linux" ? await fromProc(entry) : await fromPs(entry);
  return pids.filter((pid) => pid !== process.pid);
}

async function fromProc(entry: string): Promise<number[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const marked = await Promise.all(
    names.map(async (name) => {
      try {
        return (await readFile(`/proc/${name}/environ`, "latin1")).split("\0").includes(entry);
      } catch {
        return false; // ended meanwhile, or another user's
      }
    }),
  );
  return names.filter((_, index) => marked[index]).map(Number);
}

async function fromPs(entry: string): Promise<number[]> {
  if (process.platform === "win32") return []; // no process groups and no way to read an environment: children end when their pipe closes
  const { stdout } = await promisify(execFile)("ps", ["axeww", "-o", "pid=,command="], { maxBuffer: 64 * 1024 * 1024 });
  const lines = stdout.split("\n").filter((line) => line.split(" ").includes(entry));
  return lines.map((line) => Number.parseInt(line, 10));
}

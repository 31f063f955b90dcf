/**
 * Where log lines go: standard output, whatever is at its other end. Nobody waits for it. A pipe that
 * is read slowly fills memory only so far, then lines are dropped, and counted; one that nobody reads
 * any more neither stops the server nor keeps it from ending. (Written from another thread, as pino
 * does it, such a pipe holds that thread, and the process waits for the thread when it ends.)
 */
import { fstatSync, writeSync } from "node:fs";

const STDOUT = 1;
/** Lines are gathered up to this many characters, or this long, ms. */
const GATHERED_CHARS = 16 * 1024;
const GATHERED_MS = 100;
/** What is kept for a slow reader, characters. */
const MOST_KEPT = 8 * 1024 * 1024;
/** How long a reader has to take the last lines, ms. */
const LAST_LINES_MS = 1_000;
const LOOK_EVERY_MS = 10;

export interface LogOutput extends AsyncDisposable {
  /** Takes one line, its end included. */
  write(line: string): void;
}

export function logOutput(): LogOutput {
  const send = fstatSync(STDOUT).isFile() ? toFile : toStream();
  let gathered = "";
  let dropped = 0;
  const timer = setInterval(flush, GATHERED_MS);
  timer.unref();
  process.on("exit", flush);

  function flush(): void {
    if (gathered === "") return;
    if (process.stdout.writableLength > MOST_KEPT) {
      dropped += gathered.split("\n").length - 1;
    } else {
      send(dropped === 0 ? gathered : `${lineOnDropped(dropped)}${gathered}`);
      dropped = 0;
    }
    gathered = "";
  }

  return {
    write(line) {
      gathered += line;
      if (gathered.length >= GATHERED_CHARS) flush();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      process.off("exit", flush);
      flush();
      const until = performance.now() + LAST_LINES_MS;
      while (process.stdout.writableLength > 0 && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    },
  };
}

/** Without Node's stream around it, which ends for good at the first error: a full disk may have room again. */
function toFile(text: string): void {
  try {
    writeSync(STDOUT, text);
  } catch {
    // There is nowhere to say it.
  }
}

/** A pipe's reader may go away; the server stays. */
function toStream(): (text: string) => void {
  process.stdout.on("error", () => {});
  return (text) => {
    if (process.stdout.writable) process.stdout.write(text);
  };
}

function lineOnDropped(lines: number): string {
  return `{"level":40,"time":${Date.now()},"lines":${lines},"msg":"log lines were dropped: nobody read them"}\n`;
}

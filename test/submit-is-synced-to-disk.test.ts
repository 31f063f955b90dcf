import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { realServer } from "./real-server.ts";

const hasStrace = spawnSync("strace", ["-V"]).status === 0;

it("syncs the write-ahead log between the receipt of a lone submit and its answer", async (test) => {
  test.skip(!hasStrace, "strace is not installed (Debian: apt-get install strace)");
  await using server = await realServer({ config: "test/mock.config.ts" });
  await server.ready();
  const lines = await traced(server.process.pid!, join(server.directory, "trace"), () =>
    server.submit("mock-inference", { kind: "text" }),
  );

  const received = lines.findIndex((line) => /(read|recvfrom)\(.*POST \/v2\/mock-inference/.test(line));
  const answered = lines.findIndex(
    (line, at) => at > received && /(write|writev|sendto|sendmsg)\(.*HTTP\/1\.1 200/.test(line),
  );
  expect(received).toBeGreaterThan(-1);
  expect(answered).toBeGreaterThan(received);
  const between = lines.slice(received, answered);
  const written = between.findIndex((line) => /pwrite64\(.*-wal>/.test(line));
  const synced = between.findIndex((line, at) => at > written && /(fsync|fdatasync)\(.*-wal>/.test(line));
  expect(written).toBeGreaterThan(-1);
  expect(synced).toBeGreaterThan(written);
});

/** The system calls of a process while `action` goes on, a line each, in the order of time. */
async function traced(pid: number, file: string, action: () => Promise<unknown>): Promise<string[]> {
  const calls = "trace=read,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync,pwrite64";
  const strace = spawn("strace", ["-f", "-y", "-s", "64", "-e", calls, "-o", file, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(strace, "exit");
  await once(strace.stderr, "data"); // "Process … attached"
  await action();
  strace.kill("SIGINT");
  await ended;
  return (await readFile(file, "utf8")).split("\n");
}

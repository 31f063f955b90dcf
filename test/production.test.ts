/** docs/guide/production.md beside its proxies: the config, the unit, and a backup that is gone back to. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { blockWith, missing, paste } from "./pages.ts";
import { realServer } from "./real-server.ts";

const PAGE = "docs/guide/production.md";

test("a backup of a running server is a data directory to go on with", async ({ skip }) => {
  const reason = missing("bash", "sqlite3");
  skip(reason !== undefined, reason);
  using backup = temporaryDirectory();
  let done: string;
  let running: string;
  let shown: Record<string, unknown>;
  let picture: Buffer;
  let key: string;
  {
    await using server = await realServer({ config: "test/one-at-a-time.config.ts" });
    await server.ready();
    const made = await inferq(["keys", "create", "--name", "alice", "--owner", "test", "--data-dir", server.directory]);
    key = /sg_\w+/.exec(made.stdout)![0];
    ({ request_id: done } = await server.submit("mock-inference", { kind: "image" }));
    shown = await server.result(done);
    picture = await bytesOf(await server.fetch(pathOf(shown)));
    ({ request_id: running } = await server.submit("mock-inference", { sleep: 600, kind: "text" }));
    const commands = blockWith(PAGE, "VACUUM INTO", "sh")
      .replaceAll("/var/lib/inferq", server.directory)
      .replaceAll("/var/backups/inferq", backup.path);
    await paste(commands, server, backup.path);
    await server.kill();
  }
  await using server = await realServer({ config: "test/one-at-a-time.config.ts", directory: backup.path });
  await server.ready();
  const headers = { "x-api-key": key };
  const result = (await (await server.fetch(`/v2/requests/${done}`, { headers })).json()) as Record<string, unknown>;
  expect(result).toMatchObject({ status: "COMPLETED", metrics: shown["metrics"] });
  expect((await bytesOf(await server.fetch(pathOf(result)))).equals(picture)).toBe(true);
  for (let status = ""; status !== "PROCESSING";) {
    const answer = await server.fetch(`/v2/requests/${running}/status`, { headers });
    ({ status } = (await answer.json()) as { status: string });
    expect(["QUEUED", "PROCESSING"]).toContain(status);
  }
  await server.fetch(`/v2/requests/${running}/cancel`, { method: "POST" });
});

test("the unit is one that systemd understands", ({ skip }) => {
  const reason = missing("systemd-analyze");
  skip(reason !== undefined, reason);
  using directory = temporaryDirectory();
  const unit = join(directory.path, "inferq.service");
  writeFileSync(unit, blockWith(PAGE, "[Service]", "ini").replace("/usr/bin/node", process.execPath));
  // It answers 0 and says what it does not know; of other units too, which are not ours.
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", unit], { encoding: "utf8" });
  expect(stderr.split("\n").filter((line) => line.includes("inferq.service"))).toEqual([]);
  expect(status).toBe(0);
});

test("systemd gives a stop the time that it takes", () => {
  const [, seconds] = /TimeoutStopSec=(\d+)/.exec(blockWith(PAGE, "[Service]", "ini"))!;
  const [, grace] = /`stopGraceSeconds` \| [^|]*\| `(\d+)`/.exec(
    readFileSync("docs/reference/configuration.md", "utf8"),
  )!;
  expect(Number(seconds)).toBeGreaterThanOrEqual(Number(grace) + 20);
});

function pathOf(result: Record<string, unknown>): string {
  return new URL([result["output"]].flat()[0] as string).pathname;
}

async function bytesOf(answer: Response): Promise<Buffer> {
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { KEY, type RealServer, realServer } from "./real-server.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inferq-kill-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it("loses no answered submit when the server is killed in the middle of 1,000", async () => {
  const answered = await submitUntilKilled(await realServer({ directory, config: "test/mock.config.ts" }));
  expect(answered.length).toBeGreaterThanOrEqual(300);

  await using server = await realServer({ directory, config: "test/mock.config.ts" });
  const outcomes = await Promise.all(answered.map((id) => server.result(id)));
  expect(outcomes.filter((body) => body["status"] !== "COMPLETED")).toEqual([]);
}, 60_000);

/** Sends 1,000 submits, 32 at once, and kills the server after the 300th answer. */
async function submitUntilKilled(server: RealServer): Promise<string[]> {
  const answered: string[] = [];
  let sent = 0;
  let killed: Promise<void> | undefined;
  const client = async (): Promise<void> => {
    while (sent++ < 1_000) {
      const answer = await fetch(`${server.base}/v2/mock-inference`, {
        method: "POST",
        headers: { "x-api-key": KEY, "content-type": "application/json" },
        body: JSON.stringify({ kind: "text" }),
      }).catch(() => undefined);
      if (answer === undefined) return; // the server is gone, and this submit was not answered
      const body = (await answer.json().catch(() => undefined)) as { request_id: string } | undefined;
      if (body === undefined) return;
      answered.push(body.request_id);
      if (answered.length === 300) killed = server.kill();
    }
  };
  await Promise.all(Array.from({ length: 32 }, client));
  await killed;
  return answered;
}

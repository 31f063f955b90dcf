/** A request that takes the whole server down with it, again and again, under a supervisor that starts it anew. */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inferq } from "./command-line.ts";
import { type RealServer, realServer } from "./real-server.ts";

const CONFIG = "test/host-killer.config.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "inferq-kill-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

type Body = Record<string, unknown>;

/** The results of all `ids`, from a server that lives long enough to have them. */
async function supervised(first: RealServer, ids: readonly string[]): Promise<{ server: RealServer; results: Body[] }> {
  for (let server: RealServer | undefined = first; ;) {
    if (server !== undefined) {
      const running: RealServer = server;
      const results = Promise.all(ids.map((id) => running.result(id)));
      const ended = once(running.process, "exit").then(() => undefined);
      const came = await Promise.race([results.catch(() => ended), ended]);
      if (came !== undefined) return { server, results: came };
    }
    // It may be killed before it listens.
    server = await realServer({ directory, config: CONFIG }).catch(() => undefined);
  }
}

test("it fails after its three attempts, and those that ran beside it each time complete", async () => {
  const first = await realServer({ directory, config: CONFIG });
  const submit = async (input: object): Promise<string> =>
    (await first.submit("host-killer", { ...input, directory })).request_id;
  const innocents = await Promise.all([1, 2, 3].map(() => submit({ do: "work" })));
  const poison = await submit({ do: "kill", neighbours: innocents.length });
  // A first lease may be lost with the host before it is written, and its attempt is not counted then.
  for (const id of [poison, ...innocents]) await durablyLeased(first, id);
  await writeFile(join(directory, "go"), "");

  const { server, results } = await supervised(first, [poison, ...innocents]);
  await using _server = server;
  const [failed, ...worked] = results;
  expect(failed).toMatchObject({ status: "FAILED", error: expect.stringContaining("went silent") as string });
  expect(worked.map((body) => body["status"])).toEqual(["COMPLETED", "COMPLETED", "COMPLETED"]);
  // How many ran beside it each time that it killed the server: on its last try, none.
  expect(await readFile(join(directory, "killed"), "utf8")).toBe("3\n3\n0\n");

  await server.said("a dead letter");
  const { stdout } = await inferq(["dead-letters", "--json", "--data-dir", directory, "--config", CONFIG]);
  expect(JSON.parse(stdout)).toMatchObject([{ request_id: poison, attempts: 3, crashes: 3, error_code: "lease_lost" }]);
}, 120_000);

async function durablyLeased(server: RealServer, id: string): Promise<void> {
  for (let status; status !== "PROCESSING";) {
    ({ status } = (await (await server.fetch(`/v2/requests/${id}/status`)).json()) as { status: string });
  }
}

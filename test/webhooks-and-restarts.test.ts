/** A real server tells a real receiver, whatever happens to the server in between. */
import { expect, test } from "vitest";
import { receiver } from "../packages/server/test/webhook/receiver.ts";
import { type RealServer, realServer } from "./real-server.ts";

const CONFIG = "test/mock.config.ts";
const env = { INFERQ_ALLOW_PRIVATE: "webhook" };

async function submit(server: RealServer, webhook: string, input: object = { kind: "text" }): Promise<string> {
  await server.ready();
  const answer = await server.fetch(`/v2/mock-inference?webhook=${encodeURIComponent(webhook)}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { request_id: string }).request_id;
}

test("the receiver is told of an outcome; the log and the figures tell of that", async () => {
  await using there = await receiver();
  await using server = await realServer({ config: CONFIG, env });
  const id = await submit(server, `${there.url}/hook?key=secret`);
  await there.came(1);
  expect(JSON.parse(there.hits[0]!.body)).toMatchObject({ type: "request.completed", data: { request_id: id } });
  await server.said("webhook delivered");
  const line = server
    .output()
    .split("\n")
    .find((each) => each.includes("webhook delivered"));
  expect(JSON.parse(line!)).toMatchObject({ request: id, owner: "test", host: there.host, status: 204, tries: 1 });
  expect(server.output()).not.toContain("secret");
});

test("kill -9 after a webhook was sent and before that was written down: it comes again, with the same id", async () => {
  let server: RealServer | undefined;
  const killed = Promise.withResolvers<void>();
  await using there = await receiver((response, _hit, count) => {
    if (count > 1) response.writeHead(200).end();
    else void server!.kill().then(killed.resolve);
  });
  await using first = await realServer({ config: CONFIG, env });
  server = first;
  const id = await submit(first, there.url);
  await killed.promise;
  await using second = await realServer({ config: CONFIG, env, directory: first.directory });
  await there.came(2);
  expect(there.hits.map((hit) => hit.id)).toEqual([id, id]);
  expect(there.hits[1]!.body).toBe(there.hits[0]!.body);
  await second.said("webhook delivered");
});

test("a receiver that hangs holds up no stop", async () => {
  await using there = await receiver(() => undefined);
  await using server = await realServer({ config: CONFIG, env });
  await submit(server, there.url);
  await there.came(1);
  await server[Symbol.asyncDispose]();
  expect(server.process.exitCode).toBe(0); // a stop that takes too long is ended by force, with 1
});

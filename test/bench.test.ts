/** The bench's own instruments: a figure is worth no more than the counting behind it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpRequest } from "../bench/connection.ts";
import { Floor, ask, load } from "../bench/processes.ts";

const ID = "0199a3c0-0000-7000-8000-000000000000";
const canned = (body: object) => {
  const text = JSON.stringify(body);
  const headers = ["content-type", "application/json; charset=utf-8", "content-length", `${text.length}`];
  return { status: 200, reason: "OK", headers, body: text };
};

describe("the load generator against the floor", () => {
  let floor: Floor;
  beforeAll(async () => {
    const get = canned({ status: "COMPLETED", request_id: ID, metrics: {} });
    floor = await Floor.start({ get, post: canned({ request_id: ID, status: "QUEUED" }), keepAliveMs: 72_000 });
  });
  afterAll(() => floor[Symbol.asyncDispose]());
  const timing = () => ({ port: floor.port, headers: { "x-api-key": "any" }, warmupSeconds: 0.1, seconds: 0.5 });
  const submit = { path: "/v2/mock-inference", body: "{}" };

  test("the floor replays the answer it was given, with node's own Date", async () => {
    const answer = await ask(floor.port, httpRequest("/v2/requests/any/status", {}));
    expect(answer.body).toBe(`{"status":"COMPLETED","request_id":"${ID}","metrics":{}}`);
    expect(answer.head).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: application\/json; charset=utf-8\r\n/);
    expect(answer.head).toMatch(/\r\nDate: .* GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=72$/);
  });

  test("every poll that was counted was answered, and none was sent in vain", async () => {
    const before = await floor.served();
    const report = await load({ ...timing(), kind: "poll", connections: 8, paths: ["/a", "/b"] });
    const after = await floor.served();
    expect(report.answers).toEqual({ 200: after.get - before.get });
    expect(report.counted).toBeGreaterThan(100);
    expect(report.counted).toBeLessThan(after.get - before.get); // the warm-up is not counted
    expect(report.perSecond).toEqual([report.counted]);
  });

  test("a completion is one submit and one poll when the first poll says COMPLETED", async () => {
    const before = await floor.served();
    const report = await load({ ...timing(), ...submit, kind: "complete", outstanding: 8, pollMs: 5 });
    const after = await floor.served();
    expect(after.post - before.post).toBe(after.get - before.get);
    expect(report.answers).toEqual({ 200: 2 * (after.get - before.get) });
    expect(report.counted).toBeLessThanOrEqual((8 * 500) / 5); // nobody waits less than the 5 ms
    expect(report.latencyMs?.p50).toBeGreaterThanOrEqual(5);
  });

  test("a rate that is asked for is kept", async () => {
    const plan = { ...timing(), ...submit, kind: "complete", outstanding: 8, pollMs: 1, ratePerSecond: 100 } as const;
    const report = await load(plan);
    expect(report.counted).toBeGreaterThan(10);
    expect(report.counted).toBeLessThanOrEqual(60);
  });
});

test("an answer other than 200 ends the measurement and is told", async () => {
  const failed = { status: 422, reason: "Unprocessable Entity", headers: ["content-length", "2"], body: "{}" };
  await using floor = await Floor.start({ get: failed, post: failed, keepAliveMs: 5_000 });
  const plan = { port: floor.port, headers: {}, warmupSeconds: 0, seconds: 0.5, kind: "poll", connections: 2 } as const;
  await expect(load({ ...plan, paths: ["/a"] })).rejects.toThrow("Expected 200, got 422: {}");
});

/** A bench with one process and one directory; it names the directory and goes on for ever. */
const ENDLESS = `
  const { spawn } = await import("node:child_process");
  const { Ground } = await import(process.argv[1]);
  const ground = new Ground(false);
  const directory = ground.directory();
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit", detached: true });
  ground.watch(child);
  console.log(directory);
  setInterval(() => {}, 1000);
`;

test.each(["SIGINT", "SIGKILL"] as const)(
  "a bench that ends by %s leaves no process and no directory",
  async (signal) => {
    const processes = join(import.meta.dirname, "../bench/processes.ts");
    const bench = spawn(
      process.execPath,
      ["--conditions=@inferq/source", "--input-type=module", "-e", ENDLESS, processes],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const [line] = (await once(bench.stdout, "data")) as [Buffer];
    const directory = line.toString().trim();
    expect(existsSync(directory)).toBe(true);
    bench.kill(signal);
    await once(bench, "close"); // comes when all that hold its output have ended: its process, and the reaper
    expect(existsSync(directory)).toBe(false);
  },
);

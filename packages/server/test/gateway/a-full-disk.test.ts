/** A disk that runs full takes nothing new; everything that makes room, and every answer, goes on. */
import { pino } from "pino";
import { expect, test } from "vitest";
import { watchDisk } from "../../src/server/watch-disk.ts";
import { startGateway } from "./harness.ts";

test("submits, retries and uploads are refused; polls, results, cancels and deletes are not; then all goes on", async () => {
  const disk = { isFull: false };
  await using gateway = await startGateway({ diskReserveBytes: 1_000 }, { disk });
  const [waiting, done] = [await gateway.submit("words", {}), await gateway.submit("film", {})];
  const file = await gateway.artifact(done, "a.mp4", "video/mp4", Buffer.from("film"));
  await gateway.complete("film", { kind: "video", file });
  const data_urls = ["data:image/png;base64,aaaa"];
  const news: [string, unknown][] = [
    ["/v2/words", {}],
    ["/v1/words", {}],
    [`/v2/requests/${done}/retry`, undefined],
    ["/upload-asset", { data_urls }],
  ];
  disk.isFull = true;
  for (const [path, body] of news) {
    const answer = await gateway.call("POST", path, body);
    expect([path, answer.status, answer.headers["x-error-code"]]).toEqual([path, 503, "disk_full"]);
    expect(answer.headers["retry-after"]).toBe("5");
    expect(answer.json()["error"]).toBe(
      "Fewer than 1000 bytes are free on the server's disk: it takes nothing new until there are more.",
    );
  }
  expect((await gateway.call("GET", `/v2/requests/${waiting}/status`)).status).toBe(200);
  expect((await gateway.call("GET", `/v2/requests/${done}`)).status).toBe(200);
  expect((await gateway.call("POST", `/v2/requests/${waiting}/cancel`)).status).toBe(200);
  expect((await gateway.call("DELETE", `/v2/requests/${done}`)).status).toBe(204);
  disk.isFull = false;
  expect((await gateway.call("POST", "/v2/words", {})).status).toBe(200);
  expect((await gateway.call("POST", "/upload-asset", { data_urls })).status).toBe(200);
});

test("the disk is looked at ahead of time: no submit waits for it", async () => {
  const logs: string[] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void logs.push(line) });
  let disk = { bavail: 10, bsize: 100 };
  using watch = await watchDisk("/data", 1_000, logger, async () => disk);
  expect(watch.isFull).toBe(false);
  disk = { bavail: 9, bsize: 100 };
  await watch.look();
  await watch.look();
  expect(watch.isFull).toBe(true);
  disk = { bavail: 10, bsize: 100 };
  await watch.look();
  expect(watch.isFull).toBe(false);
  expect(logs.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    "the disk is full: nothing new is accepted",
    "the disk has room again",
  ]);
});

test("a disk that cannot be asked counts as not full, and is told once", async () => {
  const logs: string[] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void logs.push(line) });
  using watch = await watchDisk("/data", 1_000, logger, () => Promise.reject(new Error("EIO")));
  await watch.look();
  expect(watch.isFull).toBe(false);
  expect(logs).toHaveLength(1);
});

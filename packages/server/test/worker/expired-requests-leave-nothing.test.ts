import { expect, it, onTestFinished, vi } from "vitest";
import { newBlobKey } from "../../src/blob/key.ts";
import { LEASE_MS } from "./open.ts";
import { openSweeper } from "./open-sweeper.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

it("neither row nor files, and nothing of another's goes", async () => {
  await using opened = await openSweeper();
  const { store, clock, sweeper, request, put, files } = opened;
  const expiring = await request({ hasFiles: true });
  await put(expiring, 0);
  clock.advance(MINUTE);
  const living = await request({ hasFiles: true });
  await put(living, 0);
  clock.advance(HOUR - MINUTE);
  await sweeper.sweep();
  expect((await store.sweep(10)).expired).toEqual([]);
  expect(await files()).toEqual([`${living}/0`]);
});

it("but what a webhook tells of one that never had an outcome", async () => {
  await using opened = await openSweeper();
  const { store, clock, sweeper, request, lease, put, files } = opened;
  const webhook = { url: "https://hooks.example/", events: ["failed"], body: "full" } as const;
  const told = { webhook, publicBase: "https://api.example", hasFiles: true };
  const [running, waiting] = [await request(told), await request(told)];
  await lease();
  for (const id of [running, waiting]) await put(id, 0);
  clock.advance(HOUR);
  await sweeper.sweep();
  expect(await files()).toEqual([]);
  for (const id of [running, waiting]) {
    expect(await store.get(id)).toBeUndefined();
    expect(await store.deliveries.get(id)).toMatchObject({
      event: "failed",
      outcome: { failure: { code: "expired" } },
    });
  }
});

it("in slices: more than one sweep's worth goes in one", async () => {
  await using opened = await openSweeper();
  const { store, clock, sweeper, request } = opened;
  for (let i = 0; i < 1_100; i++) await request();
  clock.advance(HOUR);
  await sweeper.sweep();
  expect((await store.sweep(10)).expired).toEqual([]);
});

it("all that should have started by now fail in one sweep, however many", async () => {
  await using opened = await openSweeper();
  const { store, clock, sweeper, request } = opened;
  for (let i = 0; i < 1_100; i++) await request({ startDeadline: clock.now() + MINUTE });
  clock.advance(MINUTE);
  await sweeper.sweep();
  expect(store.stats().models.get("mock")).toBeUndefined(); // nothing waits
});

it("a lease that ran out while this process stood still is reclaimed a sweep later: its worker stood still too", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  await using opened = await openSweeper();
  const { store, clock, sweeper, request, lease } = opened;
  const id = await request();
  await lease();
  const sweeps = vi.spyOn(store, "sweep");
  sweeper.start();
  await sweeper.sweep(); // the one it starts with
  clock.advance(LEASE_MS);
  vi.advanceTimersByTime(1_000);
  expect(sweeps).toHaveBeenCalledTimes(1);
  clock.advance(1_000);
  vi.advanceTimersByTime(1_000);
  expect(sweeps).toHaveBeenCalledTimes(2);
  await sweeper.stop();
  expect(await store.get(id)).toMatchObject({ status: "QUEUED", crashes: 1 });
});

it("a lost lease goes back to the queue", async () => {
  await using opened = await openSweeper();
  const { store, clock, sweeper, request, lease } = opened;
  const id = await request();
  await lease();
  clock.advance(LEASE_MS);
  await sweeper.sweep();
  expect(await store.get(id)).toMatchObject({ status: "QUEUED", crashes: 1 });
});

it("files that cannot be deleted keep their row, for the next sweep", async () => {
  let broken = true;
  await using opened = await openSweeper((blobs) => ({
    ...blobs,
    deletePrefix: (prefix) => (broken ? Promise.reject(new Error("EIO")) : blobs.deletePrefix(prefix)),
  }));
  const { store, clock, sweeper, request, put, files } = opened;
  const id = await request({ hasFiles: true });
  await put(id, 0);
  clock.advance(HOUR);
  await sweeper.sweep();
  expect((await store.sweep(10)).expired).toMatchObject([{ id, hasFiles: true }]);
  expect(opened.failed).toEqual(["sweep"]);
  broken = false;
  await sweeper.sweep();
  expect((await store.sweep(10)).expired).toEqual([]);
  expect(await files()).toEqual([]);
});

it("uploads live as long as they were promised", async () => {
  await using opened = await openSweeper();
  const { blobs, clock, sweeper, newId, files } = opened;
  const upload = `u-${newId()}`;
  await blobs.put(newBlobKey(upload, 0, "png"), { bytes: Buffer.from("picture") });
  clock.advance(HOUR - 1);
  await sweeper.scan();
  expect(await files()).toEqual([`${upload}/0`]);
  clock.advance(1);
  await sweeper.scan();
  expect(await files()).toEqual([]);
});

it("files without a row go when no submit can still be writing them", async () => {
  await using opened = await openSweeper();
  const { clock, sweeper, newId, put, files } = opened;
  const id = newId();
  await put(id, 0);
  await sweeper.scan();
  expect(await files()).toEqual([`${id}/0`]);
  clock.advance(10 * MINUTE);
  await sweeper.scan();
  expect(await files()).toEqual([]);
});

it("of each request only the attempts stay that its row can name", async () => {
  await using opened = await openSweeper();
  const { store, blobs, sweeper, request, lease, put, files } = opened;
  const failure = { code: "model_error", message: "no" } as const;

  const completed = await request();
  await twice(completed);
  const kept = await put(completed, 3);
  const file = { key: kept, contentType: "video/mp4", size: 5, fileName: "output.mp4" };
  const result = { kind: "video", file } as const;
  await store.settle(completed, await lease(), { type: "complete", result, inferenceMs: 1, hasFiles: true });
  const failed = await request();
  await twice(failed);
  await store.settle(failed, await lease(), { type: "fail", kind: "error", failure, inferenceMs: 1 });
  const processing = await request();
  await twice(processing);
  await lease();
  const queued = await request();
  await twice(queued);
  for (const id of [completed, failed, processing, queued])
    for (const attempt of [0, 1, 2, 3, 4]) await put(id, attempt);

  await sweeper.scan();
  // Attempt 4 began after the row was read, if it exists at all.
  expect(await files()).toEqual(
    [
      `${completed}/0`,
      `${completed}/3`,
      `${failed}/0`,
      `${processing}/0`,
      `${processing}/3`,
      `${processing}/4`,
      `${queued}/0`,
      `${queued}/3`,
      `${queued}/4`,
    ].sort(),
  );
  const left: string[] = [];
  for await (const name of blobs.list(`${completed}/3/`)) left.push(`${completed}/3/${name}`);
  expect(left).toEqual([kept]);

  /** Two leases of the only request that waits. */
  async function twice(id: string): Promise<void> {
    for (let i = 0; i < 2; i++) await store.settle(id, await lease(), { type: "release" });
  }
});

it("begins at the start, stops when told, and both may come twice", async () => {
  await using opened = await openSweeper();
  const { sweeper, store, clock, request } = opened;
  await request();
  clock.advance(HOUR);
  sweeper.start();
  sweeper.start();
  await Promise.all([sweeper.stop(), sweeper.stop()]);
  expect((await store.sweep(10)).expired).toEqual([]);
});

import { expect, it } from "vitest";
import { openRunner } from "../runner/open.ts";
import { aborted, finished, modelOf, openWorker } from "./open.ts";

it("without spending the attempt", async () => {
  const running = Promise.withResolvers<void>();
  await using opened = await openWorker(
    modelOf((_, { signal }) => {
      running.resolve();
      return aborted(signal);
    }),
  );
  const id = await opened.submit();
  await running.promise;
  await Promise.all([opened.worker.stop(), opened.worker.stop()]);
  expect(await opened.store.get(id)).toMatchObject({
    status: "QUEUED",
    attempts: 0,
    leases: 1,
    crashes: 0,
    lease: null,
  });
  expect(await opened.working()).toEqual([]);
});

it("also when the model does not listen: its process is ended first", async () => {
  await using unruly = await openRunner("unruly.ts", { graceMs: 10 });
  await using opened = await openWorker(
    modelOf(() => "not used"),
    { runner: unruly.runner },
  );
  const id = await opened.submit({ do: "spin" });
  await expect.poll(() => opened.logged.some(({ line }) => line === "spinning")).toBe(true);
  await opened.worker.stop();
  expect(await opened.store.get(id)).toMatchObject({ status: "QUEUED", attempts: 0 });
  expect(unruly.runner.state).toEqual({ type: "stopped" });
});

it("and lets what ends within the grace end", async () => {
  const running = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  await using opened = await openWorker(
    modelOf(() => {
      running.resolve();
      return answer.promise;
    }),
    { worker: { stopGraceMs: 10_000 } },
  );
  const id = await opened.submit();
  await running.promise;
  const stopped = opened.worker.stop();
  const never = await opened.submit(); // no new leases
  answer.resolve("just in time");
  await stopped;
  expect(await opened.store.get(id)).toMatchObject({ status: "COMPLETED", result: { text: "just in time" } });
  expect(await opened.store.get(never)).toMatchObject({ status: "QUEUED", leases: 0 });
});

it("and gives back at once what was leased while it stopped", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  await using opened = await openWorker(
    modelOf(() => "never run"),
    {
      wrapStore: (store) => ({
        ...store,
        async lease(wish) {
          const leases = await store.lease(wish);
          if (leases.length === 0) return leases;
          asked.resolve();
          await answer.promise;
          return leases;
        },
      }),
    },
  );
  const id = await opened.submit();
  await asked.promise;
  const stopped = opened.worker.stop();
  answer.resolve();
  await stopped;
  expect(await opened.store.get(id)).toMatchObject({ status: "QUEUED", attempts: 0, leases: 1 });
});

it("a worker that was never started stops too", async () => {
  await using opened = await openWorker(modelOf(() => "fine"));
  const idle = opened.another(
    modelOf(() => "fine"),
    "second",
  );
  await idle.stop();
  await idle.start();
  expect(await opened.until(await opened.submit(), finished)).toMatchObject({ status: "COMPLETED" });
});

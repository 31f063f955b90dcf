import { expect, it } from "vitest";
import { openRunner } from "../runner/open.ts";
import { finished, modelOf, openWorker } from "./open.ts";

it("ten innocents in the process that it kills each run again alone and complete, and it alone fails", async () => {
  await using unruly = await openRunner("unruly.ts", { concurrency: 16 });
  const allLeased = Promise.withResolvers<void>();
  let leased = 0;
  await using opened = await openWorker(
    modelOf(() => "not used"),
    {
      runner: unruly.runner,
      worker: {
        materialize: async (input) => {
          if (++leased === 11) allLeased.resolve();
          await allLeased.promise;
          return { ...input };
        },
      },
    },
  );
  const { clock, store, submit, until } = opened;
  const poison = await submit({ do: "exit" });
  const innocents = await Promise.all(Array.from({ length: 10 }, () => submit({ do: "count the company" })));

  for (const id of [poison, ...innocents]) await until(id, ({ crashes }) => crashes === 1);
  clock.advance(1_000);
  await until(poison, ({ crashes }) => crashes === 2);
  for (const id of innocents) {
    expect(await until(id, finished)).toMatchObject({ status: "COMPLETED", crashes: 1, result: { text: "1" } });
  }
  expect(await store.get(poison)).toMatchObject({ status: "QUEUED" });
  clock.advance(5_000);
  expect(await until(poison, finished)).toMatchObject({ crashes: 3, failure: { code: "runner_crashed" } });
});

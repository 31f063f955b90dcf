import { expect, it } from "vitest";
import { InferqError } from "../../src/core/errors.ts";
import { InvalidInput, Retryable } from "../../src/model/model.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { openRunner } from "../runner/open.ts";
import { aborted, finished, modelOf, openWorker } from "./open.ts";

it("an error of the model's is final, and its sentence is the client's", async () => {
  await using opened = await openWorker(modelOf(() => Promise.reject(new Error("Out of ideas."))));
  const request = await opened.until(await opened.submit(), finished);
  expect(request).toMatchObject({
    status: "FAILED",
    attempts: 1,
    failure: { code: "model_error", message: "Out of ideas." },
  });
});

it("an input the model finds at fault is final, under a code of its own", async () => {
  await using opened = await openWorker(modelOf(() => Promise.reject(new InvalidInput("No face in this picture."))));
  const request = await opened.until(await opened.submit(), finished);
  expect(request.failure).toEqual({ code: "invalid_input", message: "No face in this picture." });
});

it("Retryable goes back to the queue for as long as it says, and fails when its tries are used up", async () => {
  const retry = (): Promise<never> => Promise.reject(new Retryable("Upstream is full.", { afterMs: 7_000 }));
  await using opened = await openWorker(modelOf(retry));
  const { clock, submit, until } = opened;
  const id = await submit();
  for (const attempts of [1, 2]) {
    const waiting = await until(id, (request) => request.attempts === attempts);
    expect(waiting).toMatchObject({ status: "QUEUED", notBefore: clock.now() + 7_000, crashes: 0 });
    clock.advance(7_000);
  }
  const failed = await until(id, finished);
  expect(failed).toMatchObject({
    attempts: 3,
    failure: { code: "retries_exhausted", message: "Upstream is full." },
  });
});

it("a crash spends an attempt, is counted apart, and the third is the last", async () => {
  await using unruly = await openRunner("unruly.ts");
  await using opened = await openWorker(
    modelOf(() => "not used"),
    { runner: unruly.runner },
  );
  const { clock, submit, until } = opened;
  const id = await submit({ do: "abort" });
  expect(await until(id, ({ attempts }) => attempts === 1)).toMatchObject({ status: "QUEUED", crashes: 1 });
  clock.advance(1_000);
  expect(await until(id, ({ attempts }) => attempts === 2)).toMatchObject({ status: "QUEUED", crashes: 2 });
  clock.advance(5_000);
  expect(await until(id, finished)).toMatchObject({
    status: "FAILED",
    attempts: 3,
    crashes: 3,
    failure: { code: "runner_crashed", message: expect.stringContaining("SIGABRT") as string },
  });
  expect(await until(await submit({}), finished)).toMatchObject({ status: "COMPLETED", attempts: 1 });
});

it("a run over its limit is final", async () => {
  await using opened = await openWorker(
    modelOf((_, { signal }) => aborted(signal)),
    { timeoutMs: 10 },
  );
  const request = await opened.until(await opened.submit(), finished);
  expect(request).toMatchObject({
    attempts: 1,
    failure: { code: "run_timeout", message: expect.stringContaining("0.01 s") as string },
  });
});

it.each([
  ["its own, which is less than the model's", 10, 60_000],
  ["the model's, which is less than its own", 60_000, 10],
])("a request with a limit of its own is held to the smaller one: %s", async (_, runTimeoutMs, timeoutMs) => {
  const told: number[] = [];
  await using opened = await openWorker(
    modelOf((_input, { signal, timeoutSeconds }) => {
      told.push(timeoutSeconds);
      return aborted(signal);
    }),
    { timeoutMs },
  );
  const request = await opened.until(await opened.submit({}, { runTimeoutMs }), finished);
  expect(request.failure).toEqual({
    code: "run_timeout",
    message: "The model ran longer than its limit of 0.01 s and was stopped.",
  });
  expect(told).toEqual([0.01]);
});

it("a medium that cannot be fetched fails the request under its own code, before any run", async () => {
  let runs = 0;
  const unreachable = new InferqError("input_unreachable", { field: "image", detail: "the host does not answer" });
  await using opened = await openWorker(
    modelOf(() => String(++runs)),
    { worker: { materialize: () => Promise.reject(unreachable) } },
  );
  const request = await opened.until(await opened.submit(), finished);
  expect(request.failure).toEqual({ code: "input_unreachable", message: unreachable.message });
  expect(runs).toBe(0);
});

it("an input that is a file is read from it", async () => {
  await using opened = await openWorker(modelOf((input: { word: string }) => input.word));
  const { blobs, submit, until, clock } = opened;
  const key = `01890000-0000-7000-8000-000000000000/0/${"a".repeat(32)}.json`;
  await blobs.put(key, { bytes: Buffer.from('{"word":"läng"}') });
  clock.advance(1);
  const request = await until(await submit({}, { input: { key }, hasFiles: true }), finished);
  expect(request.result).toMatchObject({ text: "läng" });
});

it("a settle that is refused is one line, without the input", async () => {
  const settled = Promise.withResolvers<void>();
  const settle: RequestStore["settle"] = () => {
    settled.resolve();
    return Promise.resolve({ ok: false, refusal: "fenced" });
  };
  await using opened = await openWorker(
    modelOf(() => "fine"),
    { wrapStore: (store) => ({ ...store, settle }) },
  );
  const id = await opened.submit({ prompt: "private words" });
  await settled.promise;
  await opened.worker.stop();
  expect(opened.logged).toEqual([
    {
      request: id,
      model: "model",
      owner: "ada",
      attempt: 1,
      refusal: "fenced",
      message: "settle refused: the lease no longer holds",
    },
  ]);
});

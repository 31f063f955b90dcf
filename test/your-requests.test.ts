/** docs/guide/your-requests.md on a real server: what its reader pastes, and that it holds whatever happens meanwhile. */
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, afterAll, beforeAll, expect, test } from "vitest";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/your-requests.md";
const MOCK = { config: "test/mock.config.ts" };

type Body = Record<string, unknown>;

let server: RealServer;
beforeAll(async () => {
  server = await realServer(MOCK);
});
afterAll(() => server[Symbol.asyncDispose]());

/** What the page's command about `what` prints for the request `id`. */
async function pasted(what: string, id: string, { skip }: TestContext): Promise<string> {
  const reason = missing("bash", "curl");
  skip(reason !== undefined, reason);
  return await paste(blockWith(PAGE, what, "sh").replaceAll("<id>", id), server, ROOT);
}

function shown(what: string): Body {
  return JSON.parse(blockWith(PAGE, what, "json")) as Body;
}

async function finished(input: object, on = server): Promise<string> {
  const { request_id: id } = await on.submit("mock-inference", input);
  await on.result(id);
  return id;
}

/** The ids that have files or working directories. */
function onDisk({ directory }: Pick<RealServer, "directory">): string[] {
  const names = ["files", "work"].flatMap((name) => {
    const path = join(directory, name);
    return existsSync(path) ? readdirSync(path) : [];
  });
  return names.filter((name) => !name.startsWith("."));
}

async function events(id: string): Promise<Body[]> {
  const { events: found } = (await (await server.fetch(`/v2/requests/${id}/timeline`)).json()) as { events: Body[] };
  return found;
}

test("the list: one that failed, as the page shows it", async (context) => {
  await finished({ kind: "text" });
  const id = await finished({ fail: true });
  const listed = JSON.parse(await pasted("status=FAILED", id, context)) as { requests: Body[] };
  const page = shown("next_cursor") as unknown as typeof listed;
  expect(Object.keys(listed)).toEqual(Object.keys(page));
  expect(listed.requests.map((one) => one["request_id"])).toEqual([id]);
  const [got, wanted] = [listed.requests[0]!, page.requests[0]!];
  expect(Object.keys(got)).toEqual(Object.keys(wanted));
  for (const name of [
    "model",
    "status",
    "priority",
    "attempts",
    "error",
    "error_code",
    "idempotency_key",
    "retry_of",
  ]) {
    expect(got[name], name).toEqual(wanted[name]);
  }
});

test("the timeline of one whose model's process died, and its delete while it waits for the next try", async (context) => {
  const { request_id: id } = await server.submit("mock-inference", { crash: true });
  while ((await events(id)).length < 3) await server.said("is tried again");
  const timeline = JSON.parse(await pasted("/timeline", id, context)) as { events: Body[] };
  const page = shown("attempt_failed") as unknown as typeof timeline;
  expect(Object.keys(timeline)).toEqual(Object.keys(page));
  for (const [index, wanted] of page.events.slice(0, 3).entries()) {
    const { next_try_at: next, ...event } = timeline.events[index]!;
    expect(Object.keys(event)).toEqual(Object.keys(wanted));
    expect([event["event"], event["attempt"], event["error_code"]]).toEqual([
      wanted["event"],
      wanted["attempt"],
      wanted["error_code"],
    ]);
    expect(next === undefined).toBe(event["event"] !== "attempt_failed");
  }
  expect(await pasted("DELETE", id, context)).toBe("");
  expect((await server.fetch(`/v2/requests/${id}`)).status).toBe(404);
});

test("delete: the page's command says nothing, and nothing is left, on no path and on no disk", async (context) => {
  const id = await finished({});
  const { output } = await server.result(id);
  const file = String(output).slice(server.base.length);
  expect((await server.fetch(file)).status).toBe(200);
  expect(onDisk(server)).toContain(id);
  expect(await pasted("DELETE", id, context)).toBe("");
  for (const path of [`/v2/requests/${id}`, `/v2/requests/${id}/status`, `/v2/requests/${id}/timeline`, file]) {
    expect((await server.fetch(path)).status, path).toBe(404);
  }
  expect(onDisk(server)).not.toContain(id);
  expect((await server.fetch(`/v2/requests/${id}`, { method: "DELETE" })).status).toBe(404);
});

test("one that runs is stopped by its delete, and leaves nothing", async () => {
  const { request_id: id } = await server.submit("mock-inference", { sleep: 600 });
  while ((await events(id)).length < 2);
  expect((await server.fetch(`/v2/requests/${id}`, { method: "DELETE" })).status).toBe(204);
  await server.said(new RegExp(`"request":"${id}".*"msg":"the request has ended meanwhile`));
  await expect.poll(() => onDisk(server), { timeout: 30_000 }).not.toContain(id);
});

test("retry: the page's command runs it once, however often it is pasted", async (context) => {
  const old = await finished({ prompt: "a rose", seed: 7 });
  const answer = JSON.parse(await pasted("/retry", old, context)) as Body;
  expect(Object.keys(answer)).toEqual(Object.keys(shown("poll_url")));
  expect([answer["status"], answer["retry_of"]]).toEqual(["QUEUED", old]);
  expect(JSON.parse(await pasted("/retry", old, context))).toEqual(answer);
  const result = await server.result(String(answer["request_id"]));
  expect(result).toMatchObject({ status: "COMPLETED", prompt: "a rose", seed: "7" });
});

test("a walk through the pages shows each that stays exactly once, while others come, finish and go", async () => {
  const submit = async (): Promise<string> => (await server.submit("mock-inference", { kind: "text" })).request_id;
  const all = await Promise.all(Array.from({ length: 120 }, submit));
  const go = all.filter((_, i) => i % 4 === 0);
  const stay = all.filter((_, i) => i % 4 !== 0);
  const seen: string[] = [];
  let next: string | undefined = `${server.base}/v2/requests?limit=9`;
  while (next !== undefined) {
    const removed = go.splice(0, 3).map((id) => server.fetch(`/v2/requests/${id}`, { method: "DELETE" }));
    const meanwhile = Promise.all([submit(), ...removed]);
    const answer: Response = await server.fetch(next.slice(server.base.length));
    await meanwhile;
    const { requests } = (await answer.json()) as { requests: Body[] };
    seen.push(...requests.map((one) => String(one["request_id"])));
    next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
  }
  expect(seen.filter((id, i) => seen.indexOf(id) !== i)).toEqual([]);
  expect(seen.filter((id) => stay.includes(id)).toSorted()).toEqual(stay.toSorted());
});

test("kill -9 in the middle of deletes: what was answered is gone, and a second delete finishes the rest", async () => {
  const directory = await mkdtemp(join(tmpdir(), "inferq-delete-"));
  try {
    const first = await realServer({ ...MOCK, directory });
    const ids = await Promise.all(Array.from({ length: 60 }, () => finished({}, first)));
    const gone: string[] = [];
    const left = [...ids];
    const client = async (): Promise<void> => {
      for (let id = left.pop(); id !== undefined && gone.length < 20; id = left.pop()) {
        const answer = await first.fetch(`/v2/requests/${id}`, { method: "DELETE" }).catch(() => undefined);
        if (answer?.status !== 204) return; // the server is gone, and this delete was not answered
        gone.push(id);
        if (gone.length === 20) void first.kill();
      }
    };
    await Promise.all(Array.from({ length: 8 }, client));
    await first.kill();

    await using second = await realServer({ ...MOCK, directory });
    const rest = ids.filter((id) => !gone.includes(id));
    expect(rest.length).toBeGreaterThan(0);
    for (const id of gone) expect((await second.fetch(`/v2/requests/${id}`)).status).toBe(404);
    for (const id of rest) {
      expect([204, 404]).toContain((await second.fetch(`/v2/requests/${id}`, { method: "DELETE" })).status);
    }
    expect(onDisk(second)).toEqual([]);
    expect(await (await second.fetch("/v2/requests")).json()).toEqual({ requests: [], next_cursor: null });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

/** docs/guide/webhooks.md on a real server: its receivers, in processes of their own, get what it shows and verify it with its own code. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const PAGE = "docs/guide/webhooks.md";
const SUBMIT = blockWith(PAGE, "/hook", "sh");

let server: RealServer;
beforeAll(async () => {
  server = await realServer({ config: "test/mock.config.ts", env: { INFERQ_ALLOW_PRIVATE: "webhook" } });
});
afterAll(() => server[Symbol.asyncDispose]());

type Body = Record<string, unknown>;

interface Receiver extends AsyncDisposable {
  readonly port: number;
  /** The next line that it prints. */
  line(): Promise<string>;
}

/** One of the page's receivers, on a free port. */
async function receiver(file: string, directory: string, secret: string): Promise<Receiver> {
  const [language, command] = file.endsWith(".py") ? ["python", "python3"] : ["js", process.execPath];
  writeFileSync(join(directory, file), blockWith(PAGE, "waiting on port", language).replace("9000", "0"));
  const child: ChildProcess = spawn(command, [file], {
    cwd: directory,
    env: { ...process.env, WEBHOOK_SECRET: secret },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`${file} ended`);
    return value;
  };
  const port = Number(/^waiting on port (\d+)$/.exec(await line())![1]);
  return {
    port,
    line,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

async function submit(port: number): Promise<string> {
  const answer = await paste(SUBMIT.replace("9000", String(port)), server, ROOT);
  return String((JSON.parse(answer) as Body)["request_id"]);
}

async function secretOf(): Promise<string> {
  const command = blockWith(PAGE, "export WEBHOOK_SECRET", "sh");
  return (await paste(`${command}\necho "$WEBHOOK_SECRET"`, server, ROOT)).trim();
}

/** Looks at the webhook of `id` until it is as `wanted`: what changes it happens in other processes. */
async function look(id: string, wanted: (delivery: Body) => boolean): Promise<Body> {
  const [, command] = blockWith(PAGE, "/deliveries/<id>\n", "sh").split(/\n(?=curl)/);
  for (;;) {
    const delivery = JSON.parse(await paste(command!.replace("<id>", id), server, ROOT)) as Body;
    if (wanted(delivery)) return delivery;
  }
}

/** The names and the kinds of its values, all the way down. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]));
}

function needs({ skip }: TestContext, ...programs: readonly string[]): void {
  const reason = missing("bash", "curl", ...programs);
  skip(reason !== undefined, reason);
}

test.for(["receiver.mjs", "receiver.py"])(
  "%s is told, verifies it, and is told again on demand",
  async (file, context) => {
    needs(context, ...(file.endsWith(".py") ? ["python3"] : []));
    using directory = temporaryDirectory();
    await using receiving = await receiver(file, directory.path, await secretOf());

    const id = await submit(receiving.port);
    const came = await receiving.line();
    expect(shape(JSON.parse(came))).toEqual(shape(JSON.parse(blockWith(PAGE, '"data": {', "json"))));
    expect(JSON.parse(came)).toMatchObject({ data: { request_id: id, status: "COMPLETED" } });

    const delivered = await look(id, ({ state }) => state === "delivered");
    expect(delivered).toMatchObject({ tries: 1, body: came, attempts: [{ http_status: 204, error: null }] });
    await paste(blockWith(PAGE, "/redeliver", "sh").replace("<id>", id), server, ROOT);
    expect(await receiving.line()).toBe(came);
    expect(await look(id, ({ tries }) => tries === 2)).toMatchObject({ state: "delivered", body: came });

    const forged = await fetch(`http://127.0.0.1:${receiving.port}/hook`, {
      method: "POST",
      headers: { "webhook-id": id, "webhook-timestamp": "1", "webhook-signature": "v1,Zm9yZ2Vk" },
      body: came,
    });
    expect([forged.status, await receiving.line()]).toEqual([401, "refused"]);
  },
);

test("a receiver with the old secret goes on during the overlap, and is refused nothing that it should take", async (context) => {
  needs(context);
  using directory = temporaryDirectory();
  const old = await secretOf();
  await using receiving = await receiver("receiver.mjs", directory.path, old);

  const rotate = blockWith(PAGE, "secret/rotate", "sh");
  const rotated = JSON.parse(await paste(rotate, server, ROOT)) as Body;
  expect(shape(rotated)).toEqual(shape(JSON.parse(blockWith(PAGE, '"previous":{', "json"))));
  expect(rotated["previous"]).toMatchObject({ secret: old });
  expect(await secretOf()).toBe(rotated["secret"]);
  await submit(receiving.port);
  expect(await receiving.line()).toContain('"request.completed"');

  await paste(rotate.replace("overlap=3600", "overlap=0"), server, ROOT);
  const id = await submit(receiving.port);
  expect(await receiving.line()).toBe("refused");
  const waiting = await look(id, ({ tries }) => tries !== 0);
  const shown = JSON.parse(blockWith(PAGE, '"next_try_at"', "json")) as { state: string; attempts: [Body] };
  const [first] = waiting["attempts"] as [Body];
  expect(shape({ ...waiting, attempts: [first] })).toEqual(shape(shown));
  const { http_status, error } = shown.attempts[0];
  expect([waiting["state"], first]).toMatchObject([shown.state, { http_status, error }]);
});

test("without the operator's word the first try on one's own machine is refused, and the sentence says what to do", async (context) => {
  needs(context);
  await using plain = await realServer({ config: "test/mock.config.ts" });
  await plain.said("Webhooks to this machine or a private network need INFERQ_ALLOW_PRIVATE=webhook.");
  const answer = JSON.parse(await paste(SUBMIT, plain, ROOT)) as Body;
  expect(answer["error"]).toContain("start the server with INFERQ_ALLOW_PRIVATE=webhook");
});

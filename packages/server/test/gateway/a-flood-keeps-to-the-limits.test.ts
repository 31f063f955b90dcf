/** However many come at once, and whichever way, no more are accepted than there may be; whoever ends makes room. */
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { catalog } from "../../src/model/catalog.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStore } from "../../src/store/store.ts";
import { type Answer, type Gateway, KEY, MODELS, OTHER_KEY, startGateway, TestClock } from "./harness.ts";

/** A store whose writes take until they are let go, so that all submits are under way together. */
function slowStore(clock: TestClock): { readonly store: RequestStore; readonly letGo: () => void } {
  const store = memoryStore({ clock });
  const { promise, resolve: letGo } = Promise.withResolvers<void>();
  return { store: { ...store, enqueue: (submission) => promise.then(() => store.enqueue(submission)) }, letGo };
}

function limited(waitingLimit: number): ReturnType<typeof catalog> {
  return catalog(
    MODELS.map((model) => ({ ...model, waitingLimit })),
    () => ({ type: "ready" }),
  );
}

function codes(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, headers } of answers) {
    const code = status === 200 ? "accepted" : `${status} ${String(headers["x-error-code"])}`;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

const form = `--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\na rose\r\n--x--\r\n`;
const WAYS: Readonly<Record<string, (gateway: Gateway, key: string) => Promise<Answer>>> = {
  "the plain way": (gateway, key) => gateway.call("POST", "/v2/words", {}, { "x-api-key": key }),
  "with a form": (gateway, key) =>
    gateway.call("POST", "/v2/words", form, { "x-api-key": key, "content-type": "multipart/form-data; boundary=x" }),
};

for (const [way, submit] of Object.entries(WAYS)) {
  const many = way === "the plain way" ? 1_000 : 200;

  test(`${many} at once, ${way}, make five where a key may have five unfinished`, async () => {
    const clock = new TestClock();
    const { store, letGo } = slowStore(clock);
    await using gateway = await startGateway({ keyRequestsInFlight: 5 }, { clock, store });
    const flood = Array.from({ length: many }, () => submit(gateway, KEY));
    // Those that are refused are answered while the five are still being written.
    let refused = 0;
    await new Promise<void>((resolve) => {
      for (const one of flood) void one.then(() => ++refused === many - 5 && resolve());
    });
    letGo();
    const answers = await Promise.all(flood);
    expect(codes(answers)).toEqual({ accepted: 5, "429 too_many_in_flight": many - 5 });
    expect(store.load?.unfinishedOf("one")).toBe(5);
    expect((await submit(gateway, OTHER_KEY)).status).toBe(200); // its limit is its own
    await gateway.complete("words", { kind: "text", text: "", reasoning: null });
    expect(codes(await Promise.all([submit(gateway, KEY), submit(gateway, KEY)]))).toEqual({
      accepted: 1,
      "429 too_many_in_flight": 1,
    });
  });

  test(`200 at once, ${way}, make five where five may wait for a model`, async () => {
    const clock = new TestClock();
    const { store, letGo } = slowStore(clock);
    await using gateway = await startGateway({}, { clock, store, models: limited(5) });
    const flood = Array.from({ length: 200 }, (_, index) => submit(gateway, index % 2 === 0 ? KEY : OTHER_KEY));
    letGo();
    expect(codes(await Promise.all(flood))).toEqual({ accepted: 5, "429 model_queue_full": 195 });
    expect((await gateway.call("POST", "/v2/film", {})).status).toBe(200);
    await gateway.lease("words"); // whoever runs waits no more
    expect(codes([await submit(gateway, KEY), await submit(gateway, KEY)])).toEqual({
      accepted: 1,
      "429 model_queue_full": 1,
    });
  });
}

test("on the whole server so many wait and no more, of all models and keys; that is the server's own affair: 503", async () => {
  const clock = new TestClock();
  const { store, letGo } = slowStore(clock);
  await using gateway = await startGateway({ waitingLimit: 7 }, { clock, store });
  const flood = Array.from({ length: 100 }, (_, index) =>
    gateway.call("POST", index % 2 === 0 ? "/v2/words" : "/v2/film", {}),
  );
  letGo();
  const answers = await Promise.all(flood);
  expect(codes(answers)).toEqual({ accepted: 7, "503 server_queue_full": 93 });
  const refused = answers.find(({ status }) => status === 503)!;
  expect(refused.json()).toEqual({
    error: "7 requests wait on this server, the most that may. Try again in 5 s.",
  });
  expect(refused.headers).toMatchObject({
    "retry-after": "5",
    "ratelimit-policy": `"server-waiting";q=7;qu="concurrent-requests"`,
    ratelimit: `"server-waiting";r=0;t=5`,
  });
});

test("a refusal does not wait for a body; whoever is sending one has its place already", async () => {
  await using gateway = await startGateway({ keyRequestsInFlight: 1 });
  const sending = await beginSubmit(gateway);
  const refused = await WAYS["with a form"]!(gateway, KEY);
  expect(refused.headers["x-error-code"]).toBe("too_many_in_flight");
  expect(refused.headers.ratelimit).toBe(`"in-flight";r=0;t=5`);

  // Who goes away in the middle of its body gives its place back; the server hears of it in a moment.
  sending.socket.destroy();
  let answer: Answer;
  do answer = await WAYS["with a form"]!(gateway, KEY);
  while (answer.headers["x-error-code"] === "too_many_in_flight");
  expect(answer.status).toBe(200);

  const tooMany = await beginSubmit(gateway);
  await tooMany.said("X-Error-Code: too_many_in_flight");
  tooMany.socket.destroy();
});

/** Sends the head of a large submit; resolves when the server wants its body. */
async function beginSubmit({ port }: Gateway): Promise<{
  readonly socket: Socket;
  readonly said: (text: string) => Promise<void>;
}> {
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  const head = `POST /v2/words HTTP/1.1\r\nhost: x\r\nx-api-key: ${KEY}\r\ncontent-type: application/json\r\n`;
  socket.write(`${head}content-length: 1000000\r\nexpect: 100-continue\r\n\r\n`);
  const said = async (text: string): Promise<void> => {
    while (!heard.toLowerCase().includes(text.toLowerCase())) await once(socket, "data");
  };
  await said("100 Continue");
  return { socket, said };
}

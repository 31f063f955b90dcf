/** Connections that are worse than their bytes: halves, endless ones, and thousands of slow ones. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { exchange } from "./alone.ts";
import { requestText } from "./case.ts";
import { JSON_BODIES } from "./corpus/json.ts";
import { FORMS } from "./corpus/multipart.ts";
import type { Session } from "./session.ts";

const LARGE = 64 * 1024 * 1024;
/** For one of them to be sent, read and answered, ms: many times what it needs. */
const LARGE_MS = 180_000;

/** Requests that break off at each of their bytes, at times without a word, at times with a reset. */
export async function breakOff(session: Session, step: number): Promise<number> {
  const { port, keys } = session.server;
  const headers = [
    ["Host", "x"],
    ["x-api-key", keys.good],
  ] as const;
  const form = FORMS[3]!;
  const whole = [
    requestText("POST", "/v2/rich", [...headers, ["Content-Type", "application/json"]], JSON_BODIES.at(-20)),
    requestText("POST", "/v2/gallery", [...headers, ["Content-Type", form.type]], form.body),
    requestText("GET", "/v2/requests?limit=1", headers),
    requestText("POST", "/v1/mock-inference", [...headers, ["Content-Type", "application/json"]], Buffer.from("{}")),
  ];
  const cuts = whole.flatMap((bytes) =>
    Array.from({ length: Math.ceil(bytes.length / step) }, (_, index) => bytes.subarray(0, index * step)),
  );
  await each(cuts, 50, async (bytes, index) => {
    if (index % 2 === 0) {
      const { fault } = await exchange(port, bytes, "");
      if (fault !== undefined) session.fault("broken off", fault, bytes);
      return;
    }
    const socket = await opened(port);
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    socket.resetAndDestroy();
  });
  session.sent += cuts.length;
  return cuts.length;
}

/** Bodies at the bounds and beyond, two at a time. `size`: of the largest, bytes. */
export async function sendLarge(session: Session, size: number = LARGE): Promise<number> {
  const auth = [
    ["Host", "x"],
    ["x-api-key", session.server.keys.good],
    ["Connection", "close"], // a client that said it had no more to say would not be told what became of it
  ] as const;
  const json = (text: string | Buffer, path = "/v2/rich"): Buffer =>
    requestText("POST", path, [...auth, ["Content-Type", "application/json"]], Buffer.from(text));
  const repeated = (piece: string, start = "", end = ""): string =>
    start + piece.repeat(Math.floor((size - start.length - end.length) / piece.length)) + end;
  const form = (body: string): Buffer =>
    requestText(
      "POST",
      "/v2/gallery",
      [...auth, ["Content-Type", "multipart/form-data; boundary=b"]],
      Buffer.from(body),
    );
  const made: readonly (() => Buffer)[] = [
    () => json(repeated("[")),
    () => json(repeated("{},", "[", "{}]")),
    () => json(repeated('{"a":')),
    () => json(repeated("a", '{"prompt":"', '"}')),
    () => json(repeated("\\u0041", '{"prompt":"', '"}')),
    () => json(repeated('\\"', '{"prompt":"', '"}')),
    () => json(repeated("9", '{"seed":', ',"prompt":"x"}')),
    () => json(repeated("a", '{"prompt":"x","', '":1}')),
    () => json(repeated("a", '{"prompt":"x","counts":{"', '":"b"}}')),
    () => json(repeated(" ", "{", "}")),
    () => json(repeated("A", '{"any":"', '"}'), "/v2/gallery"),
    () => json(repeated("%41", '{"any":"data:,', '"}'), "/v2/gallery"),
    () => json(repeated("A\\n", '{"any":"data:;base64,', '"}'), "/v2/gallery"),
    () => json(repeated("A", '{"data_urls":["data:;base64,', '"]}'), "/upload-asset"),
    () => json(repeated("a", "x")),
    () => json(`{"prompt":"x","sets":[${Array.from({ length: 100_000 }, (_, index) => `[${index}]`).join(",")}]}`),
    () => json(`{"prompt":"x","chosen":[${'"word-1999",'.repeat(200_000)}"word-0"]}`),
    () => json(`{"prompt":"x","tags":[${Array.from({ length: 200_000 }, (_, index) => `"${index}"`).join(",")}]}`),
    () => json(`{${Array.from({ length: 100_000 }, (_, index) => `"unknown-${index}":0`).join(",")},"prompt":"x"}`),
    () => json(`{"prompt":"x","counts":{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join(",")}}}`),
    () => json(`{"prompt":"x","spaced":"${"a".repeat(40)}!"}`),
    () => form(repeated("-", "--b\r\n")),
    () => form(repeated("--b\r\n")),
    () => form(repeated("\r\n")),
    () => form(repeated("a", '--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n', "\r\n--b--\r\n")),
    () => form(repeated("a", '--b\r\nContent-Disposition: form-data; name="', '"\r\n\r\nx\r\n--b--\r\n')),
    () => form(repeated("X: y\r\n", "--b\r\n", "\r\nx\r\n--b--\r\n")),
    () =>
      form(repeated("a", '--b\r\nContent-Disposition: form-data; name="any"; filename="a"\r\n\r\n', "\r\n--b--\r\n")),
    () => json(Buffer.alloc(size + 1, "[")),
  ];
  await each(made, 2, async (make, index) => {
    const bytes = make();
    const one = {
      kind: `large body ${index}`,
      bytes,
      method: "POST",
      operation: null,
      mayPass: true,
      isForeign: false,
    };
    const options = { mostMs: LARGE_MS, isHalfClosed: false };
    const answers = await session.sendAlone({ ...one, isFramed: false, isStream: false }, options);
    // The last is over the limit: who still sends when it is refused may lose the answer in a reset (RFC 9112 §9.6).
    if (answers.length === 0 && index < made.length - 1) session.fault(one.kind, "it was closed without an answer");
  });
  return made.length;
}

/** Holds `count` connections that send a byte now and then, while an honest client comes: it is served all the same. */
export async function comeSlowly(session: Session, count: number): Promise<void> {
  const { port, keys } = session.server;
  const text = `POST /v2/rich HTTP/1.1\r\nHost: x\r\nx-api-key: ${keys.good}\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{`;
  const slow: Socket[] = [];
  await each(Array.from({ length: count }), 200, async (_, index) => {
    const socket = await opened(port);
    slow.push(socket);
    socket.write(text.slice(0, (index * 7) % text.length));
  });
  const honest = Buffer.from(
    `GET /v2/models HTTP/1.1\r\nHost: x\r\nx-api-key: ${keys.good}\r\nConnection: close\r\n\r\n`,
  );
  const before = session.server.loopCpuMs ?? 0;
  for (let turn = 0; turn < 50; turn += 1) {
    for (let index = turn; index < slow.length; index += 50) slow[index]!.write("x");
    const { answers, fault } = await exchange(port, honest, "GET");
    if (fault !== undefined || answers[0]?.status !== 200) {
      session.fault(
        "slow connections",
        `an honest client had to wait behind ${count} slow ones: ${fault ?? answers[0]?.status}`,
      );
      break;
    }
  }
  const cost = ((session.server.loopCpuMs ?? 0) - before) / 50;
  if (cost > 250) session.fault("slow connections", `each honest answer cost ${cost} ms of the event loop`);
  for (const socket of slow) socket.destroy();
  session.sent += count;
}

async function opened(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => socket.destroy());
  socket.resume();
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  return socket;
}

/** `work` on each, so many at a time. */
async function each<T>(
  all: readonly T[],
  atOnce: number,
  work: (one: T, index: number) => Promise<void>,
): Promise<void> {
  const entries = all.entries();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const [index, one] of entries) await work(one, index);
    }),
  );
}

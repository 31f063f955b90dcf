/** What waiting costs: memory for each, and nothing but one look for a completion, however many wait. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { idMaker } from "../../src/core/ids.ts";
import { waiter } from "../../src/gateway/waiter.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { RequestStatus, Wake } from "../../src/store/store.ts";
import { TestClock } from "./harness.ts";

const clock = new TestClock();
const newId = idMaker(clock);
const running: RequestStatus = { status: "PROCESSING" } as RequestStatus;
const completed: RequestStatus = { status: "COMPLETED" } as RequestStatus;

let server: Server;
let sockets: Socket[];
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  server = createServer().listen(0, "127.0.0.1");
  sockets = [];
  await once(server, "listening");
});
afterEach(() => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** What a client that has sent its call is to be answered with. */
async function response(): Promise<ServerResponse> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  sockets.push(socket);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const [, answer] = (await once(server, "request")) as [unknown, ServerResponse];
  return answer;
}

/** A store of which only the looks count. */
function storeOf(status: (id: string) => RequestStatus | undefined) {
  const listeners = new Set<(wake: Wake) => void>();
  const store = {
    ...memoryStore({ clock }),
    status: vi.fn(status),
    onWake(listener: (wake: Wake) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const finish = (id: string): void => {
    for (const listener of listeners) listener({ type: "finished", id });
  };
  return { store, finish, listeners };
}

test("a completion costs one look at its own request, however many wait", async () => {
  const [one, ...others] = Array.from({ length: 1_001 }, newId);
  let done = false;
  const { store, finish } = storeOf((id) => (id === one && done ? completed : running));
  const waits = waiter(store, () => true);
  const client = await response();
  client.setMaxListeners(0);
  const told = Array.from({ length: 1_000 }, () => waits.finished(one!, 60_000, client));
  const untold = vi.fn();
  for (const id of others) void waits.finished(id, 60_000, client).then(untold);
  store.status.mockClear();
  done = true;
  finish(one!);
  await Promise.all(told);
  expect(store.status).toHaveBeenCalledTimes(1);
  expect(untold).not.toHaveBeenCalled();
  finish(newId()); // nobody waits for it
  expect(store.status).toHaveBeenCalledTimes(1);
});

test("a hint that is wrong wakes nobody, and one that is lost is made up for", async () => {
  const id = newId();
  let view = running;
  const { store, finish } = storeOf(() => view);
  const then = vi.fn();
  const waits = waiter(store, () => true);
  const told = waits.finished(id, 60_000, await response()).then(then);
  finish(id);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(then).not.toHaveBeenCalled();
  view = completed;
  await vi.advanceTimersByTimeAsync(5_000);
  await told;
});

test("a store that cannot tell now is asked again", async () => {
  const id = newId();
  const { store } = storeOf(() => completed);
  store.status.mockImplementationOnce(() => {
    throw new Error("closed after a failed commit");
  });
  const told = waiter(store, () => true).finished(id, 60_000, await response());
  await vi.advanceTimersByTimeAsync(5_000);
  await told;
});

test("nothing is left of a client that went away, nor of a wait that is over", async () => {
  const id = newId();
  const { store, finish, listeners } = storeOf(() => running);
  const waits = waiter(store, () => true);
  const then = vi.fn();
  const gone = await response();
  waits.wait(id, 60_000, gone, then);
  sockets[0]!.destroy();
  await once(gone, "close");
  store.status.mockClear();
  finish(id);
  expect(store.status).not.toHaveBeenCalled(); // nobody waits for it any more
  expect(vi.getTimerCount()).toBe(2); // the round's, and that of the keys

  const client = await response();
  const told = waits.finished(id, 1_000, client);
  await vi.advanceTimersByTimeAsync(1_000);
  await told;
  expect(client.listenerCount("close")).toBe((await response()).listenerCount("close"));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(vi.getTimerCount()).toBe(0); // no round without a wait
  expect(then).not.toHaveBeenCalled();
  waits.stop();
  expect(listeners.size).toBe(0);
});

test("after a stop nobody waits", async () => {
  const { store } = storeOf(() => running);
  const waits = waiter(store, () => true);
  const told = waits.finished(newId(), 60_000, await response());
  waits.stop();
  await told;
  await waits.finished(newId(), 60_000, await response());
  expect(waits.stopped).toBe(true);
});

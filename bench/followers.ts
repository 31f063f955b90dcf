/**
 * Clients that follow requests, as waiters.ts is for those that wait: a process that opens a stream of events for
 * each path it is told, says so when each has been told a state, and when each has been told an outcome.
 */
import net from "node:net";
import { httpRequest } from "./connection.ts";
import type { Waited, WaitersOrder, WaitersReport } from "./waiters.ts";

/** Connections opened at once: fewer than a server lets wait to be taken. */
const OPENED_AT_ONCE = 200;
const STATE = /"status":"(\w+)"/;

interface Follower {
  readonly begun: Promise<void>;
  readonly told: Promise<Waited>;
}

function follow(port: number, request: Buffer): Follower {
  const begun = Promise.withResolvers<void>();
  const told = Promise.withResolvers<Waited>();
  told.promise.catch(() => {}); // `begun` tells it, too
  const fail = (error: Error): void => {
    begun.reject(error);
    told.reject(error);
  };
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  let line = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    const at = performance.timeOrigin + performance.now();
    const lines = (line + text).split("\n");
    line = lines.pop()!;
    for (const one of lines) {
      if (!one.startsWith("data: ")) continue;
      begun.resolve();
      const status = STATE.exec(one)?.[1];
      if (status !== "COMPLETED" && status !== "FAILED") continue;
      told.resolve({ status: 200, body: one.slice("data: ".length), at });
    }
  });
  socket.on("error", fail).on("close", () => fail(new Error(`A stream ended without an outcome: ${line}`)));
  socket.write(request);
  return { begun: begun.promise, told: told.promise };
}

async function followAll({ port, headers, paths }: WaitersOrder): Promise<Waited[]> {
  const followers: Follower[] = [];
  while (followers.length < paths.length) {
    const some = paths.slice(followers.length, followers.length + OPENED_AT_ONCE);
    const opened = some.map((path) => follow(port, httpRequest(path, headers)));
    await Promise.all(opened.map(({ begun }) => begun));
    followers.push(...opened);
  }
  process.send!({ asked: true } satisfies WaitersReport);
  return await Promise.all(followers.map(({ told }) => told));
}

process.on("disconnect", () => process.exit(1));
process.once("message", (order: WaitersOrder) => {
  followAll(order).then(
    (answers) => process.send!({ answers } satisfies WaitersReport, () => process.exit(0)),
    (error: unknown) => process.send!({ error: String(error) } satisfies WaitersReport, () => process.exit(1)),
  );
});

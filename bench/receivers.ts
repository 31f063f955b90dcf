/**
 * Three receivers of webhooks in a process of their own: one that answers at once and notes when each came, one
 * that takes connections and never answers, one that answers 503. It ends when its parent does.
 */
import net from "node:net";
import type { AddressInfo } from "node:net";

export interface ReceiverPorts {
  readonly well: number;
  readonly dead: number;
  readonly refusing: number;
}

/** What has come since the last "take". */
export interface Taken {
  /** Of the one that is well: from the outcome (the body's timestamp) until all of it was read, ms. */
  readonly lagsMs: readonly number[];
  /** The same request told of twice or more. */
  readonly repeated: number;
  /** POSTs that the refusing one answered. */
  readonly refused: number;
  /** Connections that the dead one holds. */
  readonly hanging: number;
}

const NO_CONTENT = Buffer.from("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
const UNAVAILABLE = Buffer.from("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");

let lagsMs: number[] = [];
const seen = new Set<string>();
let repeated = 0;
let refused = 0;
let hanging = 0;

/** Answers each POST with what `answer` makes of its body; a `node:http` server would cost a multiple. */
function answering(answer: (body: string) => Buffer): net.Server {
  return net.createServer({ noDelay: true }, (socket) => {
    let received = "";
    socket.setEncoding("latin1").on("error", () => undefined);
    socket.on("data", (text: string) => {
      received += text;
      const headEnd = received.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received)?.[1]);
      if (received.length < headEnd + 4 + length) return;
      const body = received.slice(headEnd + 4);
      received = "";
      socket.write(answer(body));
    });
  });
}

const well = answering((body) => {
  const [, timestamp = "", id = ""] = /"timestamp":"([^"]+)".*"request_id":"([^"]+)"/.exec(body) ?? [];
  lagsMs.push(performance.timeOrigin + performance.now() - Date.parse(timestamp));
  if (seen.has(id)) repeated += 1;
  seen.add(id);
  return NO_CONTENT;
});
const refusing = answering(() => {
  refused += 1;
  return UNAVAILABLE;
});
const dead = net.createServer((socket) => {
  hanging += 1;
  socket.on("error", () => undefined).on("close", () => (hanging -= 1));
  socket.resume();
});

const ports = await Promise.all(
  [well, dead, refusing].map(
    (server) =>
      new Promise<number>((resolve) => {
        server.listen({ port: 0, host: "127.0.0.1", backlog: 1_024 }, () =>
          resolve((server.address() as AddressInfo).port),
        );
      }),
  ),
);
process.on("disconnect", () => process.exit(0));
process.on("message", () => {
  process.send!({ lagsMs, repeated, refused, hanging } satisfies Taken);
  [lagsMs, repeated, refused] = [[], 0, 0];
});
process.send!({ well: ports[0]!, dead: ports[1]!, refusing: ports[2]! } satisfies ReceiverPorts);

/**
 * The floor: the fastest bare `node:http` server that answers a GET and a POST with the same status
 * line, headers and body as the server measured, and does nothing else. What inferq loses against it
 * is what validation, durability and the queue cost.
 *
 * Header arrays, because `node:http` writes them out as they are; a string body, because it then goes
 * out in one write with the head. Date, Connection and Keep-Alive are left to `node:http`, which caches
 * the Date. A POST is answered when its body has been read, for a server that answers sooner does less.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";

/** An answer to replay. */
export interface CannedAnswer {
  readonly status: number;
  readonly reason: string;
  /** Names and values in turn, without those that `node:http` writes itself. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** What the floor is told; it answers `{ port }`. A later "count" is answered with `{ get, post }`: how many it has answered. */
export interface FloorOrder {
  readonly get: CannedAnswer;
  readonly post: CannedAnswer;
  /** From the measured server's Keep-Alive header. */
  readonly keepAliveMs: number;
}

function serve({ get, post, keepAliveMs }: FloorOrder): void {
  const served = { get: 0, post: 0 };
  const [getHeaders, postHeaders] = [[...get.headers], [...post.headers]];
  const server = http.createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
    if (request.method === "GET") {
      served.get += 1;
      response.writeHead(get.status, get.reason, getHeaders);
      response.end(get.body, "latin1");
      return;
    }
    request.resume();
    request.on("end", () => {
      served.post += 1;
      response.writeHead(post.status, post.reason, postHeaders);
      response.end(post.body, "latin1");
    });
  });
  server.listen(0, "127.0.0.1", () => process.send!({ port: (server.address() as AddressInfo).port }));
  process.on("message", () => process.send!(served));
}

process.on("disconnect", () => process.exit(0));
process.once("message", serve);

import { EventEmitter, once } from "node:events";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Hit {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The request told of. */
  readonly id: string;
}

/** A server of somebody else's that webhooks are sent to, on loopback. */
export interface Receiver extends AsyncDisposable {
  readonly host: string;
  /** Its address, without a slash at its end. */
  readonly url: string;
  /** Whatever came, in its order. */
  readonly hits: readonly Hit[];
  /** Connections made to it. */
  connections(): number;
  /** Resolves once so many have come. */
  came(count: number): Promise<void>;
  /** The most that were there at once and not answered yet. */
  peak(): number;
}

/** A receiver that answers as `answer` says; 204 where nothing is said. */
export async function receiver(
  answer: (response: ServerResponse, hit: Hit, count: number) => void = (response) => response.writeHead(204).end(),
): Promise<Receiver> {
  const hits: Hit[] = [];
  const news = new EventEmitter();
  let connections = 0;
  let open = 0;
  let peak = 0;
  const server = createServer((request, response) => {
    peak = Math.max(peak, ++open);
    response.on("close", () => open--);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      const hit = { method, path, headers, body: Buffer.concat(chunks).toString(), id: String(headers["webhook-id"]) };
      hits.push(hit);
      news.emit("hit");
      answer(response, hit, hits.length);
    });
  });
  server.on("connection", () => connections++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    hits,
    connections: () => connections,
    async came(count) {
      while (hits.length < count) await once(news, "hit");
    },
    peak: () => peak,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

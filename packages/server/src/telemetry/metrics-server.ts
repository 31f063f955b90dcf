/** `/metrics` on a port of its own, for a scraper on this machine that has no key. */
import { once } from "node:events";
import { createServer } from "node:http";
import { StartError } from "../config/start-error.ts";
import type { Metrics } from "./metrics.ts";

/** Listens on 127.0.0.1 until disposed of. Throws `StartError` if it cannot. */
export async function listenForScrapes(
  metrics: Pick<Metrics, "render" | "contentType">,
  port: number,
): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404, { "content-type": "application/json" }).end('{"error":"Only /metrics is served here."}');
      return;
    }
    void metrics.render().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      (error: Error) => response.writeHead(500, { "content-type": "text/plain" }).end(error.message),
    );
  });
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    const why = (error as Error).message;
    throw new StartError(`metricsPort ${port} cannot be used: ${why}. Choose another.`, { cause: error });
  }
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

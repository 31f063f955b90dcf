import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A web server of somebody else's, on every loopback address of this machine. */
export interface Origin extends AsyncDisposable {
  readonly port: number;
  /** Its address, without a slash at its end. */
  readonly url: string;
  /** How many requests reached it. */
  hits(): number;
}

export async function originThat(listener: RequestListener): Promise<Origin> {
  let hits = 0;
  const server = createServer((request, response) => {
    hits += 1;
    listener(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    hits: () => hits,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

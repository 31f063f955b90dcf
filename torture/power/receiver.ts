/** Takes the webhooks of all servers that live after one another on one line of power losses. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Hook } from "./known.ts";

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  /** Hears what comes; the server that sends is the one that lives now. */
  listener: (hook: Omit<Hook, "at">) => void;
  /** What a dead server has still under way is not heard any more. */
  hangUp(): void;
}

export async function receiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as {
        data: { request_id: string; status: Hook["status"]; error_code?: string };
      };
      it.listener({ id: data.request_id, status: data.status, code: data.error_code ?? null });
      response.writeHead(204).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const it: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    listener: () => {},
    hangUp: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return it;
}

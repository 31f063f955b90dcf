/** How the gateway's port is opened and closed. */
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { StartError } from "../config/start-error.ts";
import type { Worker } from "../worker/worker.ts";

/** Where it may listen; answers where clients on this machine reach it. Throws `StartError`. */
export async function listen(
  gateway: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<string> {
  try {
    await gateway.listen({ host, port, backlog: 4_096 });
  } catch (error) {
    const why = FAULTS[(error as NodeJS.ErrnoException).code ?? ""];
    if (why === undefined) throw error;
    throw new StartError(`Cannot listen on ${host}, port ${port}: ${why}`, { cause: error });
  }
  const bound = gateway.server.address() as AddressInfo;
  const everywhere = bound.address === "0.0.0.0" || bound.address === "::";
  const name = everywhere ? "127.0.0.1" : bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
  return `http://${name}:${bound.port}`;
}

const FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program uses this port. Stop it, or choose another port with --port or PORT.",
  EACCES: "this user may not use this port. Choose one above 1023 with --port or PORT.",
  EADDRNOTAVAIL: "this machine has no such address. Choose another with --host or HOST.",
  ENOTFOUND: "no machine has this name. Choose an address with --host or HOST.",
  EAI_AGAIN: "this name cannot be looked up now. Choose an address with --host or HOST.",
};

/** Takes no new connections, gives running requests the worker's grace, and then cuts off whoever still reads. */
export async function closeGateway(gateway: FastifyInstance, worker: Worker): Promise<void> {
  const closed = gateway.close();
  await worker.stop();
  gateway.server.closeAllConnections();
  await closed;
}

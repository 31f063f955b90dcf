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

/** How long answers under way may take to leave once the port is closed, ms. */
const LAST_ANSWERS_MS = 1_000;

/**
 * Stops the worker, which gives runs their grace, while everything is still answered: readiness says that it stops,
 * and who waits for one of these runs hears how it ended. Then takes no new connections, ends every wait and
 * stream with what is known, and cuts off whoever still sends or reads after a moment.
 */
export async function closeGateway(gateway: FastifyInstance, worker: Worker): Promise<void> {
  await worker.stop();
  const closed = gateway.close();
  const cutOff = setTimeout(() => gateway.server.closeAllConnections(), LAST_ANSWERS_MS);
  await closed;
  clearTimeout(cutOff);
}

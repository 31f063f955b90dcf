/**
 * Imported first by the server under fuzz: its name server is the fuzzer's, every connection that it tries to make is
 * told, and on SIGUSR2 what its memory holds when all that can be is collected.
 */
import { subscribe } from "node:diagnostics_channel";
import { Resolver } from "node:dns/promises";
import type { Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const nameServer = process.env["FUZZ_NAME_SERVER"]!;
/** Those that have been told: one that waits for an answer takes no other. */
const told = new WeakSet<Resolver>();
for (const question of ["resolve4", "resolve6"] as const) {
  const ask = Resolver.prototype[question] as (this: Resolver, name: string) => Promise<string[]>;
  Object.assign(Resolver.prototype, {
    [question](this: Resolver, name: string) {
      if (!told.has(this)) this.setServers([nameServer]);
      told.add(this);
      return ask.call(this, name);
    },
  });
}

subscribe("net.client.socket", (message) => {
  const { socket } = message as { readonly socket: Socket };
  socket.on("connectionAttempt", (address: string, port: number) => {
    console.log(`TRIED TO REACH ${address} port ${port}`);
  });
});

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
process.on("SIGUSR2", () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  console.log(`COLLECTED ${heapUsed + external} bytes`);
});

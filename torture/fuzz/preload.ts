/** Imported first by the server under fuzz: its name server is the fuzzer's, and every connection that it tries to make is told. */
import { subscribe } from "node:diagnostics_channel";
import { Resolver } from "node:dns/promises";
import type { Socket } from "node:net";

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

/** Sends the bytes of a file that a fault left behind to a new server, and prints what it answers. */
import { readFileSync } from "node:fs";
import { exchange } from "./alone.ts";
import { Judge } from "./judge.ts";
import { startNameServer } from "./name-server.ts";
import { operationsOf } from "./operations.ts";
import { FuzzedServer } from "./server.ts";

export async function sendAgain(file: string): Promise<boolean> {
  let text = Buffer.from(readFileSync(file, "utf8"), "hex").toString("latin1");
  await using names = await startNameServer();
  const env = { FUZZ_NAME_SERVER: names.address };
  await using server = await FuzzedServer.start("fuzz.config.ts", { preload: "preload.ts", env });
  text = text.replaceAll("HOST", `127.0.0.1:${server.port}`);
  for (const [name, key] of Object.entries(server.keys)) text = text.replaceAll(`KEY-${name}`, key as string);
  const method = /^[A-Z]+/.exec(text)?.[0] ?? "";
  const before = server.loopCpuMs ?? 0;
  const { answers, fault } = await exchange(server.port, Buffer.from(text, "latin1"), method);
  console.log(`The event loop worked for ${(server.loopCpuMs ?? 0) - before} ms.`);
  const judge = new Judge(await operationsOf(server.port));
  const sent = { method, bytes: Buffer.from(text), kind: "", operation: null, mayPass: true, isForeign: false };
  const faults = answers.map((answer) => judge.fault({ ...sent, isFramed: false, isStream: false }, answer));
  for (const { status, headers, body } of answers) {
    console.log(status, Object.fromEntries(headers), body.length > 2_000 ? `${body.slice(0, 2_000)}…` : body);
  }
  const wrong = [fault, ...faults, ...server.log.faults].filter((one) => one !== undefined);
  for (const one of wrong) console.log(`FAULT: ${one}`);
  return wrong.length === 0;
}

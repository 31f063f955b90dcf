/**
 * `npm run torture -- fuzz [--requests N] [--seed N] [--send FILE]`: bad input of every kind against a real server. A
 * stranger's request is never a fault of the server's: it is answered as documented, and leaves nothing behind.
 */
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";
import { sendAgain } from "./send-again.ts";

export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      requests: { type: "string", default: "1000000" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
      send: { type: "string" },
    },
  });
  if (values.send !== undefined) return await sendAgain(values.send);
  const session = await fuzz({ requests: Number(values.requests), seed: Number(values.seed), isShort: false });
  return session.faults.length === 0;
}

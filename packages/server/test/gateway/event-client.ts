/** A client of a stream of events, who reads one when it is asked to; and the run that tells. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { expect, onTestFinished } from "vitest";
import type { EventLog, RunEvent } from "../../src/store/events.ts";
import type { Lease } from "../../src/store/store.ts";

/** One event; `data` is its JSON. */
export interface Told {
  readonly event: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Following extends Disposable {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The next event. Rejects where the stream has ended. */
  next(): Promise<Told>;
  /** What is left until the stream ends, or breaks. */
  rest(): Promise<Told[]>;
  /** Everything that came so far, as it came. */
  raw(): string;
  /** Stops and starts to take bytes from the connection. */
  readonly response: IncomingMessage;
}

/** Opens the stream at `path`; it is closed after the test at the latest. */
export async function follow(port: number, path: string, headers: Record<string, string>): Promise<Following> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = httpRequest({ port, host: "127.0.0.1", path, headers, agent: false }, resolve);
    call.on("error", reject).end();
  });
  onTestFinished(() => void response.destroy());
  let raw = "";
  const pieces = (async function* read(): AsyncGenerator<Told> {
    let left = "";
    response.setEncoding("utf8");
    for await (const piece of response as AsyncIterable<string>) {
      raw += piece;
      const blocks = (left + piece).split("\n\n");
      left = blocks.pop()!;
      for (const block of blocks) {
        const told = parse(block);
        if (told !== undefined) yield told;
      }
    }
    if (left !== "") throw new Error(`The stream ended in the middle of ${JSON.stringify(left)}.`);
  })();

  return {
    status: response.statusCode!,
    headers: response.headers,
    response,
    raw: () => raw,
    async next() {
      const { value, done } = await pieces.next();
      if (done === true) throw new Error("The stream has ended.");
      return value;
    },
    async rest() {
      const events: Told[] = [];
      try {
        for await (const one of pieces) events.push(one);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
      }
      return events;
    },
    [Symbol.dispose]: () => void response.destroy(),
  };
}

/** Comments and fields without an event are none. A line that no field begins is a fault. */
function parse(block: string): Told | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const [, name, value] = /^(event|id|data|retry|): ?(.*)$/.exec(line === ":" ? ": " : line) ?? [];
    if (name === undefined || value === undefined) throw new Error(`Not a line of a stream: ${JSON.stringify(line)}`);
    if (name !== "") fields.set(name, value);
  }
  const [event, id, data] = [fields.get("event"), fields.get("id"), fields.get("data")];
  if (event === undefined || id === undefined || data === undefined) return undefined;
  return { event, id, data: JSON.parse(data) as Told["data"] };
}

/** What the run under a lease tells. */
export function run(log: EventLog, { id, token }: Lease) {
  const tell = async (event: RunEvent): Promise<void> => expect(await log.append(id, token, event)).toBe(true);
  return {
    progress: (fraction: number) => tell({ type: "progress", fraction }),
    log: (message: string) => tell({ type: "log", message }),
    output: (text: string) => tell({ type: "output", text }),
  };
}

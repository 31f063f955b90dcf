/** A receiver of webhooks: it counts what it is told. One in trouble fails now and then, hangs, hangs up, or is not there for a while. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { Outcome } from "../lib/ledger.ts";
import type { Random } from "../simulation/random.ts";
import { digest } from "./work.ts";

/** All that was told of one request. */
export interface Told {
  readonly id: string;
  readonly outcome: Outcome;
  /** Digest of the body, the same each time. */
  readonly body: string;
  /** How often it was told, and how often we said that we had it. */
  tries: number;
  taken: number;
  readonly at: number;
}

/** A request's first deliveries may fail; from this one on every one is taken, so that none waits for long. */
const TAKEN_FROM = 3;

export class Receiver {
  readonly told = new Map<string, Told>();
  /** Faults of what came, a sentence each. */
  readonly problems: string[] = [];
  /** Called with each whole delivery. */
  onTold: (told: Told, at: number) => void = () => {};
  /** Null: it takes all. */
  trouble: Random | null;
  #server: Server | null = null;
  #port = 0;
  readonly #sockets = new Set<Socket>();

  constructor(trouble: Random | null) {
    this.trouble = trouble;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  /** Begins to listen, again where it did before. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy()); // the sender died in the middle of it
    });
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** As if killed: whatever was under way gets no answer. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const told = this.#note(String(request.headers["webhook-id"]), body);
    const { trouble } = this;
    if (trouble !== null && told.tries < TAKEN_FROM && trouble.chance(0.1)) {
      const how = trouble.next();
      if (how < 0.6) return void response.writeHead(500, { "retry-after": "1" }).end();
      if (how < 0.9) return void response.destroy();
      return; // it hangs until its sender has had enough
    }
    told.taken += 1;
    response.writeHead(204).end();
  }

  #note(id: string, body: string): Told {
    const at = Date.now();
    const known = this.told.get(id);
    if (known !== undefined) {
      known.tries += 1;
      if (known.body !== digest(body))
        this.problems.push(`the webhook of ${id} told something else when it came again`);
      return known;
    }
    const { type, data } = JSON.parse(body) as { type: string; data: Data };
    if (data.request_id !== id) this.problems.push(`the webhook ${id} tells of ${data.request_id}`);
    if (type !== `request.${data.status.toLowerCase()}`)
      this.problems.push(`the webhook ${id} is ${type} of ${data.status}`);
    const told = { id, outcome: outcomeOf(data), body: digest(body), tries: 1, taken: 0, at };
    this.told.set(id, told);
    this.onTold(told, at);
    return told;
  }
}

interface Data {
  readonly request_id: string;
  readonly status: "COMPLETED" | "FAILED";
  readonly output?: string;
  readonly images?: readonly { readonly url: string }[];
  readonly error_code?: string;
}

/** Of a result what tells it from another: the text, or where its files are. */
export function outcomeOf({ status, output, images, error_code: code }: Omit<Data, "request_id">): Outcome {
  const result = images === undefined ? output : images.map(({ url }) => url).join(" ");
  return { status, ...(code !== undefined && { code }), ...(result !== undefined && { result: digest(result) }) };
}

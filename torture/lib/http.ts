/** The torture's HTTP client: an answer counts only when all of it came, for a server may die in the middle of one. */
import { Agent, type IncomingHttpHeaders, request } from "node:http";

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** How long the whole answer may take, ms. */
  readonly timeoutMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** When the question was begun and when its answer was complete, ms since the epoch. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** `refused`: nobody listened, so nothing was done. `cut`: the connection broke. `late`: nothing came in time. */
export interface NoAnswer {
  readonly none: "refused" | "cut" | "late";
  readonly askedAt: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 256, scheduling: "lifo" });

/** Asks `base`, an origin. Never rejects: after `cut` and `late` nobody knows whether what was asked for was done. */
export function ask(
  base: string,
  { method = "GET", path, headers, body, timeoutMs = 30_000 }: Ask,
): Promise<Answer | NoAnswer> {
  const askedAt = Date.now();
  return new Promise((resolve) => {
    const call = request(base + path, { method, agent, headers: { ...headers, ...lengthOf(body) } });
    const timer = setTimeout(() => end("late"), timeoutMs);
    const end = (none: NoAnswer["none"]): void => {
      clearTimeout(timer);
      call.destroy();
      resolve({ none, askedAt });
    };
    call.on("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED" ? "refused" : "cut"));
    call.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => end("cut"));
      response.on("close", () => {
        if (!response.complete) return end("cut");
        clearTimeout(timer);
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks), askedAt, answeredAt: Date.now() });
      });
    });
    call.end(body);
  });
}

export function isAnswer(one: Answer | NoAnswer): one is Answer {
  return "status" in one;
}

/** The fields of a JSON body. */
// oxlint-disable-next-line typescript/no-explicit-any -- a body of the wire
export function fields(answer: Answer): any {
  return JSON.parse(answer.body.toString());
}

function lengthOf(body: string | Uint8Array | undefined): Record<string, string> {
  return body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
}

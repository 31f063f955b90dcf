/** What an answer must be, whatever was sent. */
import { type ErrorCode, ERRORS } from "../../packages/server/src/core/errors.ts";
import type { Answer } from "./answers.ts";
import type { Case } from "./case.ts";
import type { Operation } from "./operations.ts";

/** The only reasons for a 5xx: bounds that the server keeps to. */
const INTENDED: ReadonlySet<string> = new Set(["server_busy", "server_queue_full", "disk_full", "model_unavailable"]);
/** What any call may be answered before its route is known. */
const ALWAYS: ReadonlySet<number> = new Set([400, 408, 413, 431]);
const JSON_TYPE = "application/json; charset=utf-8";
/** A stack, or where the sources lie. */
const INSIDES = /\bat [\w.<>]+ \(|node:internal|packages\/server|node_modules/;
/** Bodies of one kind are the same over and over. */
const MOST_KNOWN = 5_000;

export class Judge {
  readonly #operations: ReadonlyMap<string, Operation>;
  readonly #known = new Set<string>();

  constructor(operations: readonly Operation[]) {
    this.#operations = new Map(operations.map((operation) => [operation.name, operation]));
  }

  /** What is wrong with `answer` to `sent`, or undefined. */
  fault(sent: Case, answer: Answer): string | undefined {
    const { status, headers } = answer;
    const code = headers.get("x-error-code");
    if (headers.has("x-injected")) return "a header of the client's own came back as one of the server's";
    if (status >= 500 && !(status === 503 && (INTENDED.has(code ?? "") || isNotReady(sent, answer)))) {
      return `${status} ${code ?? "without a code"}: ${answer.body.slice(0, 300)}`;
    }
    return (
      this.#faultOfStatus(sent, status, code) ??
      (status >= 400 ? this.#faultOfError(sent, answer, code) : this.#faultOfGood(sent, answer))
    );
  }

  #faultOfStatus(sent: Case, status: number, code: string | undefined): string | undefined {
    if (status < 300 && !sent.mayPass) return `${status} without a key`;
    if (status < 300 && sent.isForeign) return `${status} for another owner's request`;
    const operation = sent.operation === null ? undefined : this.#operations.get(sent.operation);
    if (operation === undefined)
      return status === 404 || status === 405 || status < 500 ? undefined : `status ${status}`;
    if (operation.statuses.has(status) || ALWAYS.has(status)) return undefined;
    return `status ${status} (${code}) is not documented for ${operation.name}`;
  }

  #faultOfGood({ method }: Case, { status, headers, body }: Answer): string | undefined {
    if (method === "HEAD" || headers.get("content-type") !== JSON_TYPE || status !== 200) return undefined;
    return this.#once(body, () => (parsed(body) === undefined ? `no JSON: ${body.slice(0, 200)}` : undefined));
  }

  #faultOfError({ method }: Case, { status, headers, body }: Answer, code: string | undefined): string | undefined {
    if (status === 422 && code === undefined) return "422 without X-Error-Code";
    if (code === undefined || !Object.hasOwn(ERRORS, code))
      return `${status} with the code ${code}, which is in no table`;
    const { status: documented } = ERRORS[code as ErrorCode];
    // A failed request is 422 for whatever reason; an input that is refused on V1 is 400 (docs/errors.md).
    if (documented !== status && status !== 422 && !(status === 400 && documented === 422)) {
      return `${code} is ${documented}, and came as ${status}`;
    }
    if (headers.get("content-type") !== JSON_TYPE) return `an error of type ${headers.get("content-type")}`;
    if (headers.get("cache-control") !== "no-store" && status !== 416) return `an error that may be cached: ${code}`;
    if (method === "HEAD") return undefined;
    return this.#once(`${status} ${body}`, () => {
      const fields = parsed(body);
      if (fields === undefined) return `an error that is no JSON: ${body.slice(0, 200)}`;
      const sentence = fields["error"];
      if (typeof sentence !== "string" || sentence === "") return `an error without a sentence: ${body.slice(0, 200)}`;
      if (!sentence.isWellFormed()) return `half a character in a sentence: ${JSON.stringify(sentence).slice(0, 300)}`;
      if (sentence.length > 20_000) return `a sentence of ${sentence.length} characters`;
      return INSIDES.test(sentence) ? `insides in a sentence: ${sentence.slice(0, 300)}` : undefined;
    });
  }

  #once(key: string, look: () => string | undefined): string | undefined {
    if (this.#known.has(key)) return undefined;
    const fault = look();
    if (fault === undefined && key.length < 1_000) {
      if (this.#known.size === MOST_KNOWN) this.#known.clear();
      this.#known.add(key);
    }
    return fault;
  }
}

function isNotReady(sent: Case, { body }: Answer): boolean {
  return sent.operation === "GET /readyz" && /^\{"status":"[a-z]+"\}$/.test(body);
}

/** The object that a body in Latin-1 is, read as UTF-8; undefined where it is none. */
function parsed(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body, "latin1").toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

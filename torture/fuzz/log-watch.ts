/** What the server prints: its address, and whatever it should never have to say. */
const ERROR = /"level":"?(?:50|60|error|fatal)"?/;
const NEVER = /unhandled|uncaught|Warning: |MaxListeners|an answer failed|TRIED TO REACH/i;
const KEPT = 40;
const MOST_FAULTS = 20;

export class LogWatch {
  readonly port: Promise<number>;
  /** Lines that speak of a fault of the server's own. */
  readonly faults: string[] = [];
  #listening: (port: number) => void;
  #collected: ((bytes: number) => void) | undefined;
  #rest = "";
  #last: string[] = [];

  constructor() {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.port = promise;
    this.#listening = resolve;
  }

  take(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString()).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) this.#listening(Number(port));
      const bytes = /^COLLECTED (\d+) bytes$/.exec(line)?.[1];
      if (bytes !== undefined) this.#collected?.(Number(bytes));
      if ((ERROR.test(line) || NEVER.test(line)) && this.faults.length < MOST_FAULTS) this.faults.push(line);
    }
    this.#last = [...this.#last, ...lines].slice(-KEPT);
  }

  /** Resolves with the bytes that the next line about them tells (preload.ts). */
  collected(): Promise<number> {
    return new Promise((resolve) => (this.#collected = resolve));
  }

  /** The last lines. */
  tail(): string {
    return [...this.#last, this.#rest].join("\n");
  }
}

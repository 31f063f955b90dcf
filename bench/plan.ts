/** What a load generator is told to do and what it answers. Both travel as messages between processes. */

interface Timing {
  readonly port: number;
  /** Headers of every request, such as the key. */
  readonly headers: Readonly<Record<string, string>>;
  /** Load before the window that is counted, seconds. */
  readonly warmupSeconds: number;
  /** Length of the window that is counted. */
  readonly seconds: number;
}

interface Submits extends Timing {
  readonly path: string;
  readonly body: string;
}

export type Plan =
  /** Polls `paths` in turn over `connections` connections, each asking again as soon as it is answered. */
  | (Timing & { readonly kind: "poll"; readonly connections: number; readonly paths: readonly string[] })
  /** Submits over `connections` connections, each again as soon as it is answered. */
  | (Submits & { readonly kind: "submit"; readonly connections: number })
  /** Keeps `outstanding` requests on their way: submits one, polls its status every `pollMs` until it is COMPLETED, begins again. */
  | (Submits & {
      readonly kind: "complete";
      readonly outstanding: number;
      readonly pollMs: number;
      /** Begin no more than this many a second; without it as many as are completed. */
      readonly ratePerSecond?: number;
    })
  /** One request at a time, polled back to back. */
  | (Submits & { readonly kind: "latency" });

export interface Report {
  /** The window's true length. */
  readonly seconds: number;
  /** What the window held: answers for `poll` and `submit`, completed requests for `complete` and `latency`. */
  readonly counted: number;
  /** The same, second by second. */
  readonly perSecond: readonly number[];
  /** All answers by HTTP status, with those before and after the window. */
  readonly answers: Readonly<Record<string, number>>;
  /** For `complete` and `latency`: from before the submit to COMPLETED read, milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  /** Share of one core that the generator used in the window: near 1 it measured itself. */
  readonly cpuShare: number;
}

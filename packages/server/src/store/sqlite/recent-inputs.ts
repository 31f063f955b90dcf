import type { Leasable } from "./reader.ts";

/** Inputs kept for the lease that follows, and the longest such: 4 MB at most. */
const KEPT = 512;
const LONGEST_CHARS = 4096;

/** Small inputs are kept for a while: where a worker is free, the lease follows the submit. */
export class RecentInputs {
  readonly #inputs = new Map<string, Leasable>();

  remember(id: string, json: string | null, runTimeoutMs: number | null): void {
    if (json === null || json.length > LONGEST_CHARS) return;
    // An input is remembered for the first lease only: before that nothing can have crashed.
    this.#inputs.set(id, { input: { json }, crashes: 0, runTimeoutMs });
    if (this.#inputs.size <= KEPT) return;
    for (const oldest of this.#inputs.keys()) {
      this.#inputs.delete(oldest);
      break;
    }
  }

  take(id: string): Leasable | undefined {
    const input = this.#inputs.get(id);
    this.#inputs.delete(id);
    return input;
  }
}

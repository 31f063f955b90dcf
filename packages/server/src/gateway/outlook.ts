/** What a status answer tells of an unfinished request's way: headers, for the contract's bodies stay as they are. */
import { isFinished } from "../core/request.ts";
import type { RequestStatus } from "../store/store.ts";
import type { GatewayContext } from "./context.ts";

/** Adds to `headers`, names and values in turn, how many are before it, what it waits for, and how long it may take. */
export function addOutlook(
  { store, models }: Pick<GatewayContext, "store" | "models">,
  { id, model, status }: Pick<RequestStatus, "id" | "model" | "status">,
  headers: string[],
): void {
  if (isFinished(status)) return;
  const state = models.find(model)?.state.type ?? "stopped";
  const outlook = store.outlook?.(id);
  if (status === "QUEUED") {
    if (outlook?.position) headers.push("x-queue-position", String(outlook.position));
    headers.push("x-wait-reason", reason(state, outlook?.delayed === true));
  }
  // How long a model takes to start is not known; nor whether one that cannot run ever will.
  if (outlook?.remainingMs && state === "ready") headers.push("x-estimated-seconds", estimate(...outlook.remainingMs));
}

function reason(state: string, delayed: boolean): string {
  if (state === "starting") return "cold_start";
  if (state !== "ready") return "no_worker";
  return delayed ? "retry_delay" : "model_limit";
}

function estimate(lowMs: number, highMs: number): string {
  return `${rounded(lowMs / 1000, Math.floor)}-${Math.max(1, rounded(highMs / 1000, Math.ceil))}`;
}

/** Whole seconds with two digits that count: nobody can tell more. */
function rounded(seconds: number, round: (value: number) => number): number {
  if (seconds < 100) return round(seconds);
  const step = 10 ** (Math.floor(Math.log10(seconds)) - 1);
  return round(seconds / step) * step;
}

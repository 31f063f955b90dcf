/** What is told of an unfinished request's way: in headers of a status answer, for the contract's bodies stay as they are, and in events. */
import { isFinished } from "../core/request.ts";
import type { RequestStatus } from "../store/store.ts";
import type { Prospect } from "../wire/events.ts";
import type { GatewayContext } from "./context.ts";

type Context = Pick<GatewayContext, "store" | "models">;
type View = Pick<RequestStatus, "id" | "model" | "status">;

/** How many are before it, what it waits for, and how long it may take; null where it is finished. */
export function prospectOf({ store, models }: Context, { id, model, status }: View): Prospect | null {
  if (isFinished(status)) return null;
  const state = models.find(model)?.state.type ?? "stopped";
  const outlook = store.outlook?.(id);
  const isQueued = status === "QUEUED";
  return {
    position: isQueued ? outlook?.position || null : null,
    waitReason: isQueued ? reason(state, outlook?.delayed === true) : null,
    // How long a model takes to start is not known; nor whether one that cannot run ever will.
    estimate: outlook?.remainingMs && state === "ready" ? estimate(...outlook.remainingMs) : null,
  };
}

/** Adds the same to `headers`, names and values in turn. */
export function addOutlook(context: Context, view: View, headers: string[]): void {
  const prospect = prospectOf(context, view);
  if (prospect === null) return;
  const { position, waitReason, estimate } = prospect;
  if (position !== null) headers.push("x-queue-position", String(position));
  if (waitReason !== null) headers.push("x-wait-reason", waitReason);
  if (estimate !== null) headers.push("x-estimated-seconds", `${estimate[0]}-${estimate[1]}`);
}

function reason(state: string, delayed: boolean): string {
  if (state === "starting") return "cold_start";
  if (state !== "ready") return "no_worker";
  return delayed ? "retry_delay" : "model_limit";
}

function estimate(lowMs: number, highMs: number): readonly [least: number, most: number] {
  return [rounded(lowMs / 1000, Math.floor), Math.max(1, rounded(highMs / 1000, Math.ceil))];
}

/** Whole seconds with two digits that count: nobody can tell more. */
function rounded(seconds: number, round: (value: number) => number): number {
  if (seconds < 100) return round(seconds);
  const step = 10 ** (Math.floor(Math.log10(seconds)) - 1);
  return round(seconds / step) * step;
}

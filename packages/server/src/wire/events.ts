/**
 * What a stream of events says (WHATWG HTML, "Server-sent events"). Each event carries an id, from which a
 * client that was cut off goes on: how far it has read the log of its request, and whether it knows the outcome.
 */
import { type Failure, isFinished, type Status } from "../core/request.ts";
import type { EventCursor, EventPage } from "../store/events.ts";
import { metricsJson, type Times } from "./metrics.ts";

/** Of the text of one event, UTF-16 units: longer output comes in several, so that no slow reader holds more than one. */
const MOST_TEXT = 32 * 1024;

/** A comment: it says nothing, and shows proxies that the connection is in use. */
export const HEARTBEAT = ":\n\n";

/** How soon a client comes again that was cut off, ms. */
export function retryField(ms: number): string {
  return `retry: ${ms}\n\n`;
}

/** What is told of a request beside its status, where it is known. */
export interface Prospect {
  /** At most how many before it wait, itself included. */
  readonly position: number | null;
  readonly waitReason: string | null;
  /** Seconds until the outcome, probably. */
  readonly estimate: readonly [least: number, most: number] | null;
}

/** The part of a request that a status event tells. */
export interface EventView extends Times {
  readonly id: string;
  readonly status: Status;
  /** Leases so far. */
  readonly leases: number;
  readonly failure: Failure | null;
}

/** Data of a `status` event. */
export function statusData(view: EventView, prospect: Prospect | null): string {
  const { id, status, leases, failure } = view;
  const start = `{"status":"${status}","request_id":"${id}","attempt":${leases}`;
  if (isFinished(status)) {
    const why =
      failure === null
        ? ""
        : `,"error":${JSON.stringify(failure.message)},"error_code":${JSON.stringify(failure.code)}`;
    return `${start}${why},"metrics":${metricsJson(view)}}`;
  }
  const { position, waitReason, estimate } = prospect ?? NOTHING_KNOWN;
  return (
    start +
    (position === null ? "" : `,"position":${position}`) +
    (waitReason === null ? "" : `,"wait_reason":"${waitReason}"`) +
    (estimate === null ? "" : `,"estimated_seconds":[${estimate[0]},${estimate[1]}]`) +
    "}"
  );
}

const NOTHING_KNOWN: Prospect = { position: null, waitReason: null, estimate: null };

/** Data of a `gone` event: there is no such request any more, and nothing else will be told. */
export function goneData(id: string, error: string, code: string): string {
  return `{"request_id":"${id}","error":${JSON.stringify(error)},"error_code":"${code}"}`;
}

/** Line breaks to some clients, though not in the standard: in JSON they need not be escaped. */
const STRANGE_BREAKS = /[\u0085\u2028\u2029]/g;

/** One event. `data` is JSON, and so has no line break. */
export function event(type: string, id: string, data: string): string {
  const line = data.replace(STRANGE_BREAKS, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `event: ${type}\nid: ${id}\ndata: ${line}\n\n`;
}

/** Some events, and the id of the last one. */
export interface Piece {
  readonly text: string;
  readonly id: string;
}

/** The next events of a log, from what was read of it; undefined where there are none. */
export function nextPiece(page: EventPage): Piece | undefined {
  const { attempt, next } = page;
  const { log } = next;
  let { seq } = next;
  // Where it was read from, which the client's own id need not be.
  let output = page.output?.at ?? next.output;
  let id = "";
  let text = "";
  for (const one of page.events) {
    if (text.length > MOST_TEXT) return { text, id };
    seq = one.seq;
    id = idOf({ log, attempt, seq, output });
    const time = new Date(one.at).toISOString();
    text +=
      one.event.type === "log"
        ? event("log", id, `{"message":${JSON.stringify(one.event.message)},"time":"${time}"}`)
        : event("progress", id, `{"fraction":${one.event.fraction},"time":"${time}"}`);
  }
  if (page.output !== null && text.length <= MOST_TEXT) {
    const { at, text: whole } = page.output;
    const next = wholeCharacters(whole.slice(0, MOST_TEXT));
    output = at + next.length;
    id = idOf({ log, attempt, seq, output });
    if (next !== "") text += event("output", id, `{"at":${at},"text":${JSON.stringify(next)}}`);
  }
  return text === "" ? undefined : { text, id };
}

/** A character of which only the first half is there comes with its second: not every language puts the two together. */
function wholeCharacters(text: string): string {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? text.slice(0, -1) : text;
}

/** The id of whoever has read nothing. */
export const NOTHING_READ = "-.0.0.0";

const ID = /^([A-Za-z0-9_-]{1,64})\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})(\.end)?$/;

function idOf({ log, attempt, seq, output }: EventCursor): string {
  return `${log}.${attempt}.${seq}.${output}`;
}

/** The id of the outcome, told to one who has read up to `id`. */
export function endOf(id: string): string {
  return isEnd(id) ? id : `${id}.end`;
}

/** Whether whoever has read up to `id` knows the outcome. */
export function isEnd(id: string): boolean {
  return id.endsWith(".end");
}

/** The id that a client names as its last one, or that of one who has read nothing if it names none, or none of ours. */
export function readId(text: string | undefined): string {
  return text !== undefined && ID.test(text) ? text : NOTHING_READ;
}

/** Where in the log an id stands; null: at its beginning. */
export function cursorOf(id: string): EventCursor | null {
  const [, log, attempt, seq, output] = ID.exec(id) ?? [];
  if (log === undefined || log === "-") return null;
  return { log, attempt: Number(attempt), seq: Number(seq), output: Number(output) };
}

/** The keys as people read them, and as programs do. */
import type { StoredKey } from "../store/keys.ts";

const HEADER = ["NAME", "OWNER", "SCOPES", "MODELS", "PER SECOND", "IN FLIGHT", "MADE", "USED", "EXPIRES", "STATE"];

/** A table with a line for each key. */
export function keyTable(keys: readonly StoredKey[], now: number): string {
  const rows = [HEADER, ...keys.map((key) => cells(key, now))];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

function cells(key: StoredKey, now: number): string[] {
  const { name, owner, scopes, models, requestsPerSecond, requestsInFlight, createdAt, firstUsedAt, expiresAt } = key;
  return [
    name,
    owner,
    scopes.join(),
    models?.join() ?? "all",
    String(requestsPerSecond ?? "-"),
    String(requestsInFlight ?? "-"),
    day(createdAt),
    firstUsedAt === null ? "no" : day(firstUsedAt),
    expiresAt === null ? "never" : day(expiresAt),
    stateOf(key, now),
  ];
}

function stateOf({ revokedAt, expiresAt, overlapEndsAt }: StoredKey, now: number): string {
  if (revokedAt !== null) return `revoked ${day(revokedAt)}`;
  if (expiresAt !== null && expiresAt <= now) return "expired";
  return overlapEndsAt === null ? "good" : `good; the one before too until ${time(overlapEndsAt)}`;
}

/** One array; times as in the API. */
export function keyJson(keys: readonly StoredKey[]): string {
  const entries = keys.map((key) => ({
    name: key.name,
    owner: key.owner,
    scopes: key.scopes,
    models: key.models,
    requests_per_second: key.requestsPerSecond,
    requests_in_flight: key.requestsInFlight,
    created_at: time(key.createdAt),
    first_used_at: timeOrNull(key.firstUsedAt),
    expires_at: timeOrNull(key.expiresAt),
    revoked_at: timeOrNull(key.revokedAt),
    overlap_ends_at: timeOrNull(key.overlapEndsAt),
  }));
  return `${JSON.stringify(entries, null, 2)}\n`;
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : time(ms);
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function day(ms: number): string {
  return time(ms).slice(0, 10);
}

/** What the options of `inferq keys` say, checked. */
import { PLAIN_KEY, type ApiKey, type Scope } from "../store/keys.ts";
import { UsageError } from "./usage-error.ts";

export interface CreateOptions {
  readonly name?: string;
  readonly owner?: string;
  readonly admin?: boolean;
  readonly scopes?: string;
  readonly models?: string;
  readonly expires?: string;
  readonly "requests-per-second"?: string;
  readonly "requests-in-flight"?: string;
}

/** A key but for its hash and when it was made; a name that is null comes from the hash. */
export type KeyTerms = Omit<ApiKey, "name" | "owner" | "hash" | "createdAt"> & {
  readonly name: string | null;
  /** Null: the name. */
  readonly owner: string | null;
};

const SCOPES: readonly Scope[] = ["submit", "read", "admin"];
const NAME = /^[A-Za-z0-9._-]{1,100}$/;
/** Any text but what would break a line of the log or of a list. */
const OWNER = /^[^\p{C}\s]{1,200}$/u;
/** Of a limit; more is none. */
const MOST = 1_000_000_000;
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Throws `UsageError` with the first that cannot be. */
export function keyTerms(options: CreateOptions, now: number): KeyTerms {
  const { name, owner, models, expires } = options;
  return {
    name: name === undefined ? null : checkName(name, "--name"),
    owner: owner === undefined ? null : matching(OWNER, owner, "--owner", "a text without spaces"),
    scopes: scopesOf(options),
    models: models === undefined ? null : list(models).map((model) => checkName(model, "--models")),
    expiresAt: expires === undefined ? null : endOf(expires, now),
    requestsPerSecond: numberOf(options, "requests-per-second", /^\d*\.?\d+$/, "a number above 0, such as 5 or 0.5"),
    requestsInFlight: numberOf(options, "requests-in-flight", /^\d+$/, "a whole number above 0"),
  };
}

export function checkName(text: string, option: string): string {
  return matching(NAME, text, option, 'letters, digits, ".", "_" and "-", at most 100');
}

/** `90s`, `15m`, `24h`, `30d`, `2w`, or 0: milliseconds. */
export function durationMs(text: string, option: string): number {
  const ms = asDuration(text);
  if (ms === undefined) throw wrong(option, "a time such as 90s, 15m, 24h, 30d or 2w", text);
  return ms;
}

function asDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const [, digits, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit!]!;
}

function scopesOf({ scopes, admin }: CreateOptions): readonly Scope[] {
  const named = scopes === undefined ? PLAIN_KEY.scopes : list(scopes);
  const unknown = named.find((scope) => !SCOPES.includes(scope as Scope));
  if (unknown !== undefined) throw wrong("--scopes", `of ${SCOPES.join(", ")}, separated by commas`, unknown);
  return SCOPES.filter((scope) => named.includes(scope) || (scope === "admin" && admin === true));
}

/** A time from now, or a date: ISO 8601, of UTC where it says no zone. */
function endOf(text: string, now: number): number {
  const ms = asDuration(text);
  const end = ms === undefined ? dateOf(text) : now + ms;
  if (Number.isNaN(end)) {
    throw wrong("--expires", "a time from now, such as 12h or 30d, or a date, such as 2027-01-31", text);
  }
  if (end <= now) throw wrong("--expires", "in the future", text);
  return end;
}

const DATE = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/;

function dateOf(text: string): number {
  const found = DATE.exec(text);
  if (found === null || !isDay(text.slice(0, 10))) return NaN;
  return Date.parse(text.includes("T") && found[1] === undefined ? `${text}Z` : text);
}

/** 30 February would be the second of March. */
function isDay(text: string): boolean {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

function numberOf(
  options: CreateOptions,
  name: "requests-per-second" | "requests-in-flight",
  form: RegExp,
  expected: string,
): number | null {
  const text = options[name];
  if (text === undefined) return null;
  const value = form.test(text) ? Number(text) : 0;
  if (value > MOST) throw wrong(`--${name}`, `at most ${MOST}; for none leave it out`, text);
  if (value > 0) return value;
  throw wrong(`--${name}`, expected, text);
}

function list(text: string): string[] {
  return text.split(",").map((item) => item.trim());
}

function matching(form: RegExp, text: string, option: string, expected: string): string {
  if (form.test(text)) return text;
  throw wrong(option, expected, text);
}

function wrong(option: string, expected: string, got: string): UsageError {
  return new UsageError(`${option} must be ${expected}, got ${JSON.stringify(got)}.`);
}

/** What the options of `inferq keys` mean, and what is said of those that mean nothing. */
import { expect, test } from "vitest";
import { keyJson, keyTable } from "../../src/cli/key-list.ts";
import { checkName, type CreateOptions, durationMs, keyTerms } from "../../src/cli/key-options.ts";
import { UsageError } from "../../src/cli/usage-error.ts";
import { PLAIN_KEY, type StoredKey } from "../../src/store/keys.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

test("a key that nothing is said of submits and reads, all models, for ever", () => {
  expect(keyTerms({}, NOW)).toEqual({ ...PLAIN_KEY, name: null, owner: null });
});

test.each<[CreateOptions, object]>([
  [
    { name: "ci-1.a_B", owner: "team@example.org" },
    { name: "ci-1.a_B", owner: "team@example.org" },
  ],
  [{ admin: true }, { scopes: ["submit", "read", "admin"] }],
  [{ scopes: "read" }, { scopes: ["read"] }],
  [{ scopes: "admin, read,read", admin: true }, { scopes: ["read", "admin"] }],
  [{ models: "ocr, emoji-scene" }, { models: ["ocr", "emoji-scene"] }],
  [{ expires: "90s" }, { expiresAt: NOW + 90_000 }],
  [{ expires: "30d" }, { expiresAt: NOW + 30 * DAY_MS }],
  [{ expires: "2w" }, { expiresAt: NOW + 14 * DAY_MS }],
  [{ expires: "2026-02-01" }, { expiresAt: Date.UTC(2026, 1, 1) }],
  [{ expires: "2026-02-01T12:00" }, { expiresAt: Date.UTC(2026, 1, 1, 12) }],
  [{ expires: "2026-02-01T12:00:30+02:00" }, { expiresAt: Date.UTC(2026, 1, 1, 10, 0, 30) }],
  [
    { "requests-per-second": "0.5", "requests-in-flight": "10" },
    { requestsPerSecond: 0.5, requestsInFlight: 10 },
  ],
])("%j", (options, terms) => {
  expect(keyTerms(options, NOW)).toMatchObject(terms);
});

test.each<[CreateOptions, string]>([
  [{ name: "a b" }, `--name must be letters, digits, ".", "_" and "-", at most 100, got "a b".`],
  [{ name: "" }, `--name must be letters,`],
  [{ owner: "two words" }, `--owner must be a text without spaces, got "two words".`],
  [{ owner: "line\n" }, `--owner must be`],
  [{ scopes: "read,root" }, `--scopes must be of submit, read, admin, separated by commas, got "root".`],
  [{ scopes: "" }, `--scopes must be of submit, read, admin, separated by commas, got "".`],
  [{ models: "ocr,a/b" }, `--models must be letters,`],
  [{ models: "ocr," }, `--models must be letters,`],
  [
    { expires: "soon" },
    `--expires must be a time from now, such as 12h or 30d, or a date, such as 2027-01-31, got "soon".`,
  ],
  [{ expires: "30" }, `--expires must be a time from now,`],
  [{ expires: "2026-13-01" }, `--expires must be a time from now,`],
  [{ expires: "2026-02-01T" }, `--expires must be a time from now,`],
  [{ expires: "0" }, `--expires must be in the future, got "0".`],
  [{ expires: "2025-12-31" }, `--expires must be in the future, got "2025-12-31".`],
  [{ "requests-per-second": "0" }, `--requests-per-second must be a number above 0, such as 5 or 0.5, got "0".`],
  [{ "requests-per-second": "1e3" }, `--requests-per-second must be`],
  [{ "requests-per-second": "5000000000" }, `--requests-per-second must be at most 1000000000; for none leave it out`],
  [{ "requests-in-flight": "9".repeat(400) }, `--requests-in-flight must be at most 1000000000`],
  [{ expires: "2027-02-30" }, `--expires must be a time from now`],
  [{ "requests-in-flight": "1.5" }, `--requests-in-flight must be a whole number above 0, got "1.5".`],
  [{ "requests-in-flight": "-1" }, `--requests-in-flight must be`],
])("%j is refused in one sentence", (options, sentence) => {
  const refused = (): unknown => keyTerms(options, NOW);
  expect(refused).toThrow(sentence);
  expect(refused).toThrow(UsageError);
});

test("an overlap is a time, or 0 for none", () => {
  expect(["0", "15m", "24h"].map((text) => durationMs(text, "--overlap"))).toEqual([0, 900_000, DAY_MS]);
  expect(() => durationMs("24", "--overlap")).toThrow(
    `--overlap must be a time such as 90s, 15m, 24h, 30d or 2w, got "24".`,
  );
  expect(() => checkName("a/b", "The name")).toThrow("The name must be letters,");
});

const STORED: StoredKey = {
  ...PLAIN_KEY,
  name: "ci",
  owner: "team",
  hash: "a".repeat(64),
  createdAt: NOW,
  revokedAt: null,
  firstUsedAt: NOW + DAY_MS,
  overlapEndsAt: null,
};

test("a list for people has a line for each key, and never a hash", () => {
  const keys: StoredKey[] = [
    { ...STORED, overlapEndsAt: NOW + 9 * DAY_MS },
    { ...STORED, name: "a-longer-one", models: ["ocr", "film"], expiresAt: NOW + DAY_MS, firstUsedAt: null },
    { ...STORED, name: "x", scopes: ["read"], requestsPerSecond: 0.5, requestsInFlight: 3, revokedAt: NOW },
  ];
  expect(keyTable(keys, NOW + 2 * DAY_MS)).toBe(
    [
      "NAME          OWNER  SCOPES       MODELS    PER SECOND  IN FLIGHT  MADE        USED        EXPIRES     STATE",
      "ci            team   submit,read  all       -           -          2026-01-01  2026-01-02  never       good; the one before too until 2026-01-10T00:00:00.000Z",
      "a-longer-one  team   submit,read  ocr,film  -           -          2026-01-01  no          2026-01-02  expired",
      "x             team   read         all       0.5         3          2026-01-01  2026-01-02  never       revoked 2026-01-01",
      "",
    ].join("\n"),
  );
});

test("a list for programs has the names and times of the API, and never a hash", () => {
  expect(JSON.parse(keyJson([STORED]))).toEqual([
    {
      name: "ci",
      owner: "team",
      scopes: ["submit", "read"],
      models: null,
      requests_per_second: null,
      requests_in_flight: null,
      created_at: "2026-01-01T00:00:00.000Z",
      first_used_at: "2026-01-02T00:00:00.000Z",
      expires_at: null,
      revoked_at: null,
      overlap_ends_at: null,
    },
  ]);
});

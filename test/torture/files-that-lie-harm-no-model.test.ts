/**
 * Files that say they are enormous, stop in the middle or name other files, given to the models that ship, in their own
 * processes: each ends as a sentence about the file, the memory stays bounded, and the process serves the next.
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MEDIA } from "../../torture/fuzz/corpus/media.ts";
import { VIDEOS } from "../../torture/fuzz/corpus/videos.ts";
import { KEY, type RealServer, realServer } from "../real-server.ts";

/** Of any process below the server, at any time, MB: what ffmpeg may take (packages/models/src/lib/ffmpeg.ts). */
const MOST_MB = 2_048;
const LOOK_MS = 25;
/** What the models rightly make something of. */
const GOOD = new Set([
  "a picture",
  "a picture that is also a page",
  "a PNG of 2,000 text chunks",
  "a PNG with a compressed text of a thousandfold",
  "a PNG with a colour profile that is none",
]);

let server: RealServer;
let largestMb = 0;
let looking: NodeJS.Timeout;
beforeAll(async () => {
  server = await realServer({ config: "test/media-bombs.config.ts", env: { INFERQ_BODY_LIMIT_MB: "64" } });
  await server.ready();
  looking = setInterval(() => {
    for (const mb of residentOfDescendants(server.process.pid!)) largestMb = Math.max(largestMb, mb);
  }, LOOK_MS);
}, 300_000);
afterAll(async () => {
  clearInterval(looking);
  await server[Symbol.asyncDispose]();
});

const answers = async (
  model: string,
  field: string,
  bytes: Buffer,
): Promise<{ code: string | null; error: unknown }> => {
  const body = JSON.stringify({ [field]: `data:application/octet-stream;base64,${bytes.toString("base64")}` });
  const headers = { "content-type": "application/json" };
  const submitted = await server.fetch(`/v2/${model}`, { method: "POST", headers, body });
  const first = (await submitted.json()) as { request_id?: string; error?: string };
  if (submitted.status !== 200) return { code: submitted.headers.get("x-error-code"), error: first.error };
  await server.result(first.request_id!);
  const answer = await server.fetch(`/v2/requests/${first.request_id}`);
  return { code: answer.headers.get("x-error-code"), error: ((await answer.json()) as { error?: string }).error };
};

test.each([
  ["anime4k-x2", "image", MEDIA],
  ["person-matte", "image", MEDIA],
  ["ocr", "image", MEDIA],
  ["anime4k-video-x2", "video", { ...MEDIA, ...VIDEOS }],
])(
  "%s",
  async (model, field, media) => {
    const wrong: string[] = [];
    const told = await Promise.all(
      Object.entries(media).map(async ([what, bytes]) => [what, await answers(model, field, bytes)] as const),
    );
    for (const [what, { code, error }] of told) {
      const isSentence = typeof error === "string" && error.length > 10 && !error.includes(server.directory);
      if (code === null ? !GOOD.has(what) : !["invalid_input", "model_error"].includes(code) || !isSentence)
        wrong.push(`${what}: ${code} ${String(error)}`);
    }
    expect(wrong).toEqual([]);
    expect(largestMb).toBeLessThan(MOST_MB);
  },
  300_000,
);

test("no model's process died of it", () => {
  expect(server.output()).not.toMatch(/"level":"?(?:50|60|error|fatal)"?/);
  expect(server.output()).not.toContain(KEY);
});

/** Resident memory of each, MB; none where the system has no /proc. */
function residentOfDescendants(root: number): number[] {
  let names: string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  const parents = new Map<number, { readonly parent: number; readonly mb: number }>();
  for (const name of names) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "latin1");
      const mb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
      parents.set(Number(name), { parent: Number(/PPid:\s+(\d+)/.exec(status)?.[1]), mb });
    } catch {
      // it ended meanwhile
    }
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid)?.parent;
    return parent !== undefined && (parent === root || isBelow(parent));
  };
  return [...parents].filter(([pid]) => isBelow(pid)).map(([, { mb }]) => mb);
}

import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { InvalidInput } from "inferq/model";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import model from "../src/anime4k-video-x2/model.ts";
import { type Ffmpeg, findFfmpeg, packagedFfmpeg } from "../src/lib/ffmpeg.ts";
import { mediaFile, type ModelRun, runModel, temporaryDirectory } from "./run-model.ts";

type Session = Awaited<ReturnType<NonNullable<typeof model.setup>>>;

const packaged = await packagedFfmpeg();
const found = await findFfmpeg();
let session: Session;
let directory: string;

beforeAll(async () => {
  session = (await model.setup?.()) as Session;
  directory = await temporaryDirectory();
});

afterEach(() => vi.unstubAllEnvs());

describe.each([
  ["the packaged ffmpeg", packaged],
  ["the system's ffmpeg (skipped where none is installed)", found],
])("with %s", (name, ffmpeg) => {
  const withFfmpeg = test.skipIf(name.startsWith("the system") && ffmpeg.origin !== "system");

  withFfmpeg("a video of odd size comes back twice as large, with every frame, its rate and its sound", async () => {
    const input = await make(
      "odd.mp4",
      [
        "-f lavfi -i testsrc=size=41x31:rate=30000/1001:duration=0.4".split(" "),
        TONE,
        "-c:v libx264 -pix_fmt yuv444p -c:a aac".split(" "),
      ].flat(),
    );

    const run = await upscale(input, ffmpeg);

    const [before, after] = [await facts(input), await facts(pathOf(run))];
    expect(before.frames).toBe(12);
    expect(after).toMatchObject({ size: "82x62", frames: 12, timeBase: "1001/30000", pixels: "yuv420p" });
    // The sound is copied: packet for packet the same.
    expect(after.audio).toEqual(before.audio);
    expect(run.progress.at(-1)).toBe(1);
    expect(run.progress).toHaveLength(13);
  });

  withFfmpeg.each([
    ["of low resolution", "64x48", "bt601"],
    ["of high resolution", "64x720", "bt709"],
  ])("the colours of a video %s without colour tags stay what players show", async (_kind, size, matrix) => {
    const input = await make(
      "orange.mp4",
      [
        ["-f", "lavfi", "-i", `color=0xC86432:size=${size}:rate=10:duration=0.2`],
        ["-vf", `scale=out_color_matrix=${matrix}:${EXACT},format=yuv420p`],
      ].flat(),
    );

    const output = pathOf(await upscale(input, ffmpeg));

    const orange = [...(await ffmpegOutput(["-i", output, ...FIRST_PIXELS]))].slice(0, 3);
    for (const [i, value] of [0xc8, 0x64, 0x32].entries()) expect(Math.abs((orange[i] ?? 0) - value)).toBeLessThan(4);
  });

  withFfmpeg("a video filmed sideways comes back upright", async () => {
    const straight = await make("straight.mp4", ["-f", "lavfi", "-i", "testsrc=size=40x30:rate=10:duration=0.2"]);
    const input = await make("sideways.mp4", ["-i", straight, "-c", "copy", "-metadata:s:v", "rotate=90"]);

    expect(await facts(pathOf(await upscale(input, ffmpeg)))).toMatchObject({ size: "60x80", frames: 2 });
  });

  withFfmpeg("AVI with uncompressed sound and GIF are taken; sound that an MP4 cannot hold becomes AAC", async () => {
    const motion = ["-f", "lavfi", "-i", "testsrc=size=32x24:rate=10:duration=0.3"];
    const avi = await make("tone.avi", [...motion, ...TONE, "-c:v", "mjpeg", "-c:a", "pcm_s16le"]);
    const gif = await make("moving.gif", motion);

    expect(await facts(pathOf(await upscale(avi, ffmpeg)))).toMatchObject({ frames: 3, audioCodec: "aac" });
    expect(await facts(pathOf(await upscale(gif, ffmpeg)))).toMatchObject({ frames: 3, size: "64x48" });
  });

  withFfmpeg("a file with the right first bytes and nothing behind them is refused", async () => {
    const whole = await readFile(await make("whole.mp4", ["-f", "lavfi", "-i", "testsrc=size=32x24:duration=0.2"]));
    const input = join(directory, "cut.mp4");
    await writeFile(input, whole.subarray(0, 200));

    await expect(upscale(input, ffmpeg)).rejects.toThrow(InvalidInput);
    await expect(upscale(input, ffmpeg)).rejects.toThrow(/^video cannot be decoded: /);
    // Where files lie on the server is nothing for clients, nor are addresses in ffmpeg's memory.
    await expect(upscale(input, ffmpeg)).rejects.not.toThrow(/file:|cut\.mp4| @ |0x/);
  });

  withFfmpeg.each(["mp4", "mkv"])("a cut-off %s is refused, not taken for a short one", async (extension) => {
    const motion = ["-f", "lavfi", "-i", "testsrc=size=32x24:rate=10:duration=3"];
    const whole = await readFile(await make(`whole.${extension}`, [...motion, "-movflags", "+faststart"]));
    const input = join(directory, `half.${extension}`);
    await writeFile(input, whole.subarray(0, whole.length * 0.7));

    await expect(upscale(input, ffmpeg)).rejects.toThrow(/^video breaks off after \d+ frames: expected the whole file/);
  });

  withFfmpeg("a sound file is refused: it has no picture", async () => {
    const input = await make("tone.m4a", [...TONE, "-c:a", "aac", "-f", "mp4"]);

    await expect(upscale(input, ffmpeg)).rejects.toThrow(/no picture track/);
  });

  withFfmpeg("an abort ends the run and both of its ffmpeg processes", async () => {
    const input = await make("long.mp4", ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=20"]);
    const abort = new AbortController();
    const stopped = new Error("stopped");
    const run = runModel(
      model,
      { ...session, ffmpeg },
      { video: await mediaFile(input, "video/mp4") },
      { signal: abort.signal },
    );
    await vi.waitFor(() => expect(childProcesses()).toBe(2), { interval: 5, timeout: 10_000 });
    abort.abort(stopped);

    await expect(run).rejects.toBe(stopped);
    await vi.waitFor(() => expect(childProcesses()).toBe(0), { interval: 1, timeout: 2_000 });
  });

  withFfmpeg(
    "when the result cannot be written the run fails with ffmpeg's reason, and nothing is left running",
    async () => {
      const video = await mediaFile(
        await make("short.mp4", ["-f", "lavfi", "-i", "testsrc=size=64x48:duration=1"]),
        "video/mp4",
      );
      const run = model.run(
        { video },
        {
          session: { ...session, ffmpeg },
          signal: new AbortController().signal,
          timeoutSeconds: 600,
          progress: () => undefined,
          log: () => undefined,
          partial: () => undefined,
          file: (name) => ({ path: join(directory, "no such directory", name) }),
        },
      );

      await expect(run).rejects.toThrow(/ffmpeg ended with .*No such file or directory/s);
      await vi.waitFor(() => expect(childProcesses()).toBe(0), { interval: 1, timeout: 2_000 });
    },
  );
});

test.each([
  ["HLS", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n", /video is a playlist/],
  ["concat", "ffconcat version 1.0\nfile /etc/passwd\n", /video is a playlist/],
  ["DASH", '<?xml version="1.0"?>\n<MPD></MPD>\n', /video is a playlist/],
  ["plain text", "hello", /video has a format that is not taken: expected an MP4/],
  ["an empty file", "", /video has a format that is not taken/],
])("%s under the name of a video is refused before ffmpeg sees it", async (_kind, text, sentence) => {
  const input = join(directory, "list.mp4");
  await writeFile(input, text);

  // A path that does not exist: any attempt to start ffmpeg would be another error.
  await expect(upscale(input, { ...packaged, path: "/nonexistent" })).rejects.toThrow(sentence);
});

test("a video that is too long or too large is refused, and the sentence names the limit", async () => {
  const long = await make("long.mp4", ["-f", "lavfi", "-i", "color=size=16x16:rate=1:duration=302"]);
  const large = await make("large.mp4", ["-f", "lavfi", "-i", "color=size=2000x1200:rate=1:duration=1"]);

  await expect(upscale(long, packaged)).rejects.toThrow("video is too long: expected at most 300 s, got 302 s");
  await expect(upscale(large, packaged)).rejects.toThrow(/video is too large: .* got 2000 × 1200/);
});

test("a video that cannot be done within the run's time is refused when that shows, not when the time is over", async () => {
  const input = await make("slow.mp4", ["-f", "lavfi", "-i", "color=size=16x16:rate=25:duration=4"]);
  const video = await mediaFile(input, "video/mp4");
  const run = runModel(model, { ...session, ffmpeg: packaged }, { video }, { timeoutSeconds: 0.006 });
  await expect(run).rejects.toThrow(
    /video takes too long here: it would be about \d+ min, at most 0\.0001 min are given/,
  );
});

test("where no ffmpeg is installed the packaged one is used", async () => {
  vi.stubEnv("PATH", directory);

  expect(await findFfmpeg()).toEqual(packaged);
});

const EXACT = "flags=bicubic+accurate_rnd+full_chroma_int";
const FIRST_PIXELS = ["-frames:v", "1", "-vf", `scale=${EXACT},format=rgb24`, "-f", "rawvideo"];

/** Less than a second of sound. */
const TONE = ["-f", "lavfi", "-i", "sine=duration=0.4"];

async function upscale(input: string, ffmpeg: Ffmpeg): Promise<ModelRun> {
  return runModel(model, { ...session, ffmpeg }, { video: await mediaFile(input, "video/*") });
}

function pathOf(run: ModelRun): string {
  return (run.output as { path: string }).path;
}

/** Makes a small video with the packaged ffmpeg. */
async function make(name: string, args: readonly string[]): Promise<string> {
  const path = join(directory, name);
  await rm(path, { force: true });
  await promisify(execFile)(packaged.path, ["-loglevel", "error", ...args, path]);
  return path;
}

async function ffmpegOutput(args: readonly string[]): Promise<Buffer> {
  const { stdout } = await promisify(execFile)(packaged.path, ["-loglevel", "error", ...args, "-"], {
    encoding: "buffer",
    maxBuffer: 1e8,
  });
  return stdout;
}

/** What is really in a file, packet by packet. */
async function facts(path: string): Promise<Record<string, unknown> & { audio: string[]; frames: number }> {
  const packets = (await ffmpegOutput(["-i", path, "-c:a", "copy", "-f", "framecrc"])).toString().split("\n");
  const field = (name: string): string | undefined =>
    packets.find((line) => line.startsWith(`#${name}: `))?.slice(name.length + 3);
  const { stderr } = await promisify(execFile)(packaged.path, ["-i", path, "-c", "copy", "-f", "null", "-"]);
  return {
    size: field("dimensions 0"),
    timeBase: field("tb 0"),
    audioCodec: field("codec_id 1"),
    pixels: /Video: h264.*?, (\w+)/.exec(stderr)?.[1],
    frames: packets.filter((line) => line.startsWith("0,")).length,
    // Without time stamps: an edit list may move them.
    audio: packets.filter((line) => line.startsWith("1,")).map((line) => line.split(",").slice(4, 6).join()),
  };
}

/** Children of this process. One that has just ended counts until the event loop has turned. */
function childProcesses(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === "ProcessWrap").length;
}

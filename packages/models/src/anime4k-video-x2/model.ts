/**
 * Enlarges a video to twice its width and height, frame by frame, with the network of `anime4k-x2`.
 *
 * @module
 */
import { defineModel, InvalidInput, media, type MediaFile } from "inferq/model";
import { openUpscaler, type Upscaler } from "../lib/anime4k.ts";
import { type Ffmpeg, findFfmpeg } from "../lib/ffmpeg.ts";
import { demuxerOf } from "./container.ts";
import { convert } from "./convert.ts";
import { probe, type VideoFacts } from "./probe.ts";

interface Input {
  readonly video: MediaFile;
}

interface Session {
  readonly ffmpeg: Ffmpeg;
  readonly upscaler: Upscaler;
}

/** Full HD in, 4K out. */
const MAX_PIXELS = 1920 * 1080;
const MAX_SIDE = 2048;
const MAX_SECONDS = 300;
/** After so many one can tell how long all will take. */
const FRAMES_TO_JUDGE_BY = 25;

export default defineModel<Session>({
  name: "anime4k-video-x2",
  output: "video",
  description: "Enlarges a video, best an animation, to twice its width and height; the sound stays.",
  timeoutSeconds: 1800,
  input: {
    type: "object",
    required: ["video"],
    properties: {
      video: media("video/*,image/gif", {
        description:
          "The video: MP4, MOV, WebM, Matroska, AVI or GIF, at most 1920 × 1080 pixels (or 1080 × 1920) and 5 minutes.",
      }),
    },
  },
  async setup() {
    const ffmpeg = await findFfmpeg();
    process.stderr.write(`anime4k-video-x2 uses the ${ffmpeg.origin} ffmpeg ${ffmpeg.version} (${ffmpeg.path})\n`);
    return { ffmpeg, upscaler: await openUpscaler() };
  },
  async run({ video }: Input, context) {
    const { ffmpeg, upscaler } = context.session;
    const { signal } = context;
    const facts = await probe(ffmpeg, video.path, await demuxerOf(video.path), signal);
    checkLimits(facts);
    const [perSeconds = 0, seconds = 1] = facts.rate.split("/").map(Number);
    const rate = perSeconds / seconds;

    const result = context.file("upscaled.mp4");
    const startedAt = performance.now();
    const expectedFrames = Math.max(1, (facts.seconds ?? MAX_SECONDS) * rate);
    const frames = await convert({
      ffmpeg,
      upscaler,
      input: video.path,
      facts,
      output: result.path,
      signal,
      maxFrames: Math.ceil(MAX_SECONDS * rate),
      onFrame: (done) => {
        if (done === FRAMES_TO_JUDGE_BY && facts.seconds !== undefined) {
          checkTime(((performance.now() - startedAt) / 1000) * (expectedFrames / done), context.timeoutSeconds);
        }
        context.progress(Math.min(done / expectedFrames, 0.99));
      },
    });
    context.progress(1);
    context.log(`${frames} frames of ${facts.width} × ${facts.height} at ${rate.toFixed(2)} a second`);
    return result;
  },
});

function checkLimits({ width, height, seconds }: VideoFacts): void {
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    throw new InvalidInput(
      `video is too large: expected at most 1920 × 1080 pixels and sides of ${MAX_SIDE}, got ${width} × ${height}`,
    );
  }
  if (seconds !== undefined && seconds > MAX_SECONDS) {
    throw new InvalidInput(`video is too long: expected at most ${MAX_SECONDS} s, got ${seconds} s`);
  }
}

/** Better said after seconds than found out when the time is over. */
function checkTime(seconds: number, timeoutSeconds: number): void {
  if (seconds <= timeoutSeconds) return;
  throw new InvalidInput(
    `video takes too long here: it would be about ${Math.ceil(seconds / 60)} min, at most ${timeoutSeconds / 60} min are given; make it shorter or smaller`,
  );
}

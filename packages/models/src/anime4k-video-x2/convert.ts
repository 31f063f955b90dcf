import { InvalidInput } from "inferq/model";
import type { Upscaler } from "../lib/anime4k.ts";
import { type Ffmpeg, FfmpegFailed, FfmpegProcess } from "../lib/ffmpeg.ts";
import { inputArguments, type VideoFacts } from "./probe.ts";

/** Audio that goes into an MP4 as it is; other is encoded again. */
const MP4_AUDIO = ["aac", "mp3", "ac3"];

/** From this height on, players take colours without a tag for BT.709, below for BT.601. */
const HD_HEIGHT = 720;

/** ffmpeg's faster default darkens every pixel by about two levels. */
const EXACT_COLOURS = "flags=bicubic+accurate_rnd+full_chroma_int";

/** ffmpeg takes the end of a file that was cut off for the end of the video: it complains, and ends with code 0. */
const CUT_OFF = /: partial file$|^File ended prematurely|^Read error$/m;

export interface ConvertOptions {
  readonly ffmpeg: Ffmpeg;
  readonly upscaler: Upscaler;
  readonly input: string;
  readonly facts: VideoFacts;
  /** Where the MP4 is written. */
  readonly output: string;
  /** More frames than this are refused. */
  readonly maxFrames: number;
  readonly signal: AbortSignal;
  /** Called after each frame with how many are done. */
  onFrame(frames: number): void;
}

/**
 * Decodes, doubles and encodes frame by frame. One frame at a time is in memory: the decoder waits while
 * the network runs, the network waits until the encoder has taken its result.
 *
 * @returns the number of frames.
 * @throws {InvalidInput} when the video breaks off, is too long or has no frames; the signal's reason.
 */
export async function convert(options: ConvertOptions): Promise<number> {
  const { ffmpeg, upscaler, facts, maxFrames, signal } = options;
  const { width, height } = facts;
  await using decoder = new FfmpegProcess(ffmpeg, decoderArguments(options), signal);
  await using encoder = new FfmpegProcess(ffmpeg, encoderArguments(options), signal);
  let frames = 0;
  for await (const rgb of framesOf(decoder.stdout, width * height * 3)) {
    if (++frames > maxFrames)
      throw new InvalidInput(`video is too long: expected at most ${maxFrames} frames, got more`);
    const doubled = await upscaler.double({ width, height, rgb }, { signal });
    await encoder.write(doubled.rgb);
    options.onFrame(frames);
  }
  const complaints = await decoder.ended().catch((cause: unknown) => {
    if (!(cause instanceof FfmpegFailed)) throw cause;
    throw new InvalidInput(`video breaks off after ${frames} frames: ${cause.message}`, { cause });
  });
  if (CUT_OFF.test(complaints)) {
    throw new InvalidInput(`video breaks off after ${frames} frames: expected the whole file, got its beginning`);
  }
  if (frames === 0) throw new InvalidInput("video has no frames");
  encoder.endInput();
  await encoder.ended();
  return frames;
}

function decoderArguments({ input, facts }: ConvertOptions): string[] {
  // Without a tag ffmpeg would take all colours for BT.601.
  const matrix = !facts.coloursTagged && facts.height >= HD_HEIGHT ? "in_color_matrix=bt709:" : "";
  return [
    ["-loglevel", "error", ...inputArguments(input, facts.demuxer), "-map", "0:V:0"],
    ["-vf", `scale=${matrix}${EXACT_COLOURS},format=rgb24`, "-r", facts.rate, "-f", "rawvideo", "pipe:1"],
  ].flat();
}

function encoderArguments({ input, facts, output }: ConvertOptions): string[] {
  const { width, height, rate, pixelAspect, audioCodec, demuxer } = facts;
  const colours = `scale=out_color_matrix=bt709:out_range=tv:${EXACT_COLOURS},format=yuv420p`;
  const codec = audioCodec !== undefined && MP4_AUDIO.includes(audioCodec) ? ["copy"] : ["aac", "-b:a", "160k"];
  return [
    ["-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"],
    ["-video_size", `${2 * width}x${2 * height}`, "-framerate", rate, "-i", "pipe:0"],
    audioCodec === undefined ? [] : inputArguments(input, demuxer),
    ["-map", "0:v:0", "-vf", `${colours},setsar=${pixelAspect}`],
    ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-threads", "2"],
    ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"],
    audioCodec === undefined ? [] : ["-map", "1:a:0", "-c:a", ...codec],
    ["-movflags", "+faststart", "-f", "mp4", `file:${output}`],
  ].flat();
}

/** Cuts a stream of raw video into frames. Each is overwritten by the next. */
async function* framesOf(stream: AsyncIterable<Uint8Array>, frameBytes: number): AsyncGenerator<Uint8Array> {
  const frame = new Uint8Array(frameBytes);
  let filled = 0;
  for await (const chunk of stream) {
    for (let offset = 0; offset < chunk.length;) {
      const part = chunk.subarray(offset, offset + frameBytes - filled);
      frame.set(part, filled);
      filled += part.length;
      offset += part.length;
      if (filled === frameBytes) {
        yield frame;
        filled = 0;
      }
    }
  }
}

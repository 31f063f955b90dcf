import { InvalidInput } from "inferq/model";
import { type Ffmpeg, FfmpegFailed, FfmpegProcess } from "../lib/ffmpeg.ts";

/** What is known of a video before its frames are read. */
export interface VideoFacts {
  /** ffmpeg's name for its container. */
  readonly demuxer: string;
  /** Of an upright frame, pixels. */
  readonly width: number;
  readonly height: number;
  /** Shape of a pixel, width/height: "1/1". */
  readonly pixelAspect: string;
  /** Frames a second, as a fraction: "30000/1001". */
  readonly rate: string;
  /** Missing where the container does not say. */
  readonly seconds: number | undefined;
  /** Whether the file says how its colours are coded. */
  readonly coloursTagged: boolean;
  /** ffmpeg's name for the codec of the first audio track. */
  readonly audioCodec: string | undefined;
}

/** A rate above is what ffmpeg makes of variable-rate recordings that only have millisecond stamps. */
const HIGHEST_RATE = 120;
const RATE_OF_VARIABLE = "30/1";

/** Beyond 8K a frame is not even decoded. */
const DECODED_PIXELS = 36_000_000;

const PROBE_MS = 30_000;

/** Arguments that name the input. Only local files and pipes, only this demuxer, two threads. */
export function inputArguments(path: string, demuxer: string): string[] {
  const limits = ["-protocol_whitelist", "file,pipe", "-threads", "2", "-max_pixels", String(DECODED_PIXELS)];
  return [...limits, "-f", demuxer, "-i", `file:${path}`];
}

/**
 * Decodes one frame and reads what ffmpeg says about it. The packaged build has no ffprobe; the header
 * of its `framecrc` output tells size (after rotation) and exact rate, and has not changed for years.
 *
 * @throws {InvalidInput} when there is no video in it that ffmpeg can decode.
 */
export async function probe(ffmpeg: Ffmpeg, path: string, demuxer: string, signal: AbortSignal): Promise<VideoFacts> {
  const stop = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
  const { header, banner } = await decodeOne(ffmpeg, path, demuxer, stop).catch((cause: unknown) => {
    signal.throwIfAborted();
    if (stop.aborted) throw new InvalidInput(`video could not be examined within ${PROBE_MS / 1000} s`, { cause });
    if (cause instanceof FfmpegFailed) throw new InvalidInput(complaint(cause.stderr), { cause });
    throw cause;
  });

  const field = (name: string): string | undefined => new RegExp(`^#${name}: (.+)$`, "m").exec(header)?.[1];
  const [width, height] = (field("dimensions 0") ?? "").split("x").map(Number);
  const [seconds, perFrames] = (field("tb 0") ?? "").split("/");
  if (!width || !height || !seconds || !perFrames) throw new InvalidInput("video has no frame that can be decoded");
  const duration = /Duration: (\d+):(\d+):([\d.]+)/.exec(banner);
  return {
    demuxer,
    width,
    height,
    pixelAspect: (field("sar 0") ?? "1/1").replace(/^0\/.*/, "1/1"),
    rate: Number(perFrames) / Number(seconds) > HIGHEST_RATE ? RATE_OF_VARIABLE : `${perFrames}/${seconds}`,
    seconds:
      duration === null ? undefined : Number(duration[1]) * 3600 + Number(duration[2]) * 60 + Number(duration[3]),
    coloursTagged: /Stream #0.*: Video: .*\b(bt709|smpte170m|bt470bg|smpte240m|fcc|bt2020n?c)\b/.test(banner),
    audioCodec: field("codec_id 1"),
  };
}

async function decodeOne(
  ffmpeg: Ffmpeg,
  path: string,
  demuxer: string,
  signal: AbortSignal,
): Promise<{ header: string; banner: string }> {
  const args = [
    inputArguments(path, demuxer),
    ["-map", "0:V:0", "-map", "0:a:0?", "-c:v", "rawvideo", "-pix_fmt", "rgb24", "-c:a", "copy"],
    ["-frames:v", "1", "-frames:a", "1", "-f", "framecrc", "pipe:1"],
  ];
  await using process = new FfmpegProcess(ffmpeg, args.flat(), signal);
  let header = "";
  for await (const text of process.stdout.setEncoding("utf8")) header += String(text);
  return { header, banner: await process.ended() };
}

function complaint(stderr: string): string {
  if (/matches no streams/.test(stderr)) return "video has no picture track: expected a video, got a file without one";
  const lines = stderr.trim().split("\n");
  return `video cannot be decoded: ${lines.findLast((line) => /error|invalid|not found|unknown|exceed/i.test(line)) ?? lines.at(-1) ?? ""}`;
}

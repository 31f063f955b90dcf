import { open } from "node:fs/promises";
import { InvalidInput } from "inferq/model";

/** Enough for every mark below. */
const HEADER_BYTES = 64;

/** Brands of ISO media files that are pictures. */
const PICTURE_BRANDS = /^(avif|avis|heic|heix|hevc|mif1|msf1)$/;

/** Text files that make ffmpeg open other files and addresses. */
const PLAYLIST = /^\uFEFF?\s*(#EXTM3U|ffconcat|\[playlist\]|<\?xml|<MPD|<SMIL|<ASX)/i;

/**
 * The name of ffmpeg's demuxer for a file, from its first bytes. It is forced on ffmpeg, which would
 * otherwise guess among 300, some of which open other files.
 *
 * @throws {InvalidInput} when it is none of the containers that are taken.
 */
export async function demuxerOf(path: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
  const header = buffer.subarray(0, bytesRead);
  const demuxer = sniff(header);
  if (demuxer !== undefined) return demuxer;
  const expected = "expected an MP4, MOV, WebM, Matroska, AVI or GIF file";
  if (PLAYLIST.test(header.toString("utf8"))) {
    throw new InvalidInput(`video is a playlist: ${expected}; a list that names other files is not taken`);
  }
  throw new InvalidInput(`video has a format that is not taken: ${expected}`);
}

function sniff(header: Buffer): string | undefined {
  const at = (offset: number, length: number): string => header.toString("latin1", offset, offset + length);
  if (at(4, 4) === "ftyp") return PICTURE_BRANDS.test(at(8, 4)) ? undefined : "mov";
  // QuickTime files from before there were brands.
  if (["moov", "mdat", "wide", "free", "skip"].includes(at(4, 4))) return "mov";
  if (at(0, 4) === "\x1A\x45\xDF\xA3") return "matroska";
  if (at(0, 4) === "RIFF" && at(8, 4) === "AVI ") return "avi";
  if (/^GIF8[79]a$/.test(at(0, 6))) return "gif";
  return undefined;
}

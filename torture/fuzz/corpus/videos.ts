/** MP4s whose tables promise more than there is: a demuxer that makes room for it beforehand takes all memory. */

function box(type: string, ...content: readonly Buffer[]): Buffer {
  const data = Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length + 8);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, data]);
}

/** Version and flags, then numbers of four bytes. */
function words(...numbers: readonly number[]): Buffer {
  const data = Buffer.alloc(4 + numbers.length * 4);
  numbers.forEach((number, index) => data.writeUInt32BE(number >>> 0, 4 + index * 4));
  return data;
}

interface Track {
  /** As the table of sizes declares. */
  readonly frames: number;
  /** Of each frame. */
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  /** Frames in each chunk. */
  readonly perChunk: number;
  /** Of one frame, thousandths of a second. */
  readonly duration: number;
}

/** A track of raw pictures, of which there is a single one in the file, if any. */
function track({ frames, bytes, width, height, perChunk, duration }: Track): Buffer {
  const entry = Buffer.alloc(78);
  entry.writeUInt16BE(1, 6);
  entry.writeUInt16BE(width, 24);
  entry.writeUInt16BE(height, 26);
  entry.writeUInt16BE(1, 40);
  entry.writeUInt16BE(24, 74);
  const table = box(
    "stbl",
    box("stsd", words(1), box("raw ", entry)),
    box("stts", words(1, frames, duration)),
    box("stsc", words(1, 1, perChunk, 1)),
    box("stsz", words(bytes, frames)),
    box("stco", words(1, 48)),
  );
  const media = box(
    "mdia",
    box("mdhd", words(0, 0, 1_000, Math.min(frames * duration, 0xffff_ffff), 0)),
    box("hdlr", Buffer.from("\0\0\0\0\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0", "latin1")),
    box("minf", box("vmhd", Buffer.alloc(12)), box("dinf", box("dref", words(1), box("url ", words()))), table),
  );
  const head = Buffer.alloc(84);
  head.writeUInt32BE(1, 12);
  head.writeUInt32BE(0x1_0000, 40);
  head.writeUInt32BE(0x1_0000, 56);
  head.writeUInt32BE(0x4000_0000, 72);
  head.writeUInt32BE(width * 0x1_0000, 76);
  head.writeUInt32BE(height * 0x1_0000, 80);
  return box("trak", box("tkhd", head), media);
}

function mp4(tracks: readonly Track[], data: Buffer = Buffer.alloc(64)): Buffer {
  const head = Buffer.alloc(100);
  head.writeUInt32BE(1_000, 12);
  head.writeUInt32BE(40, 16);
  return Buffer.concat([
    box("ftyp", Buffer.from("isom\0\0\x02\0isomiso2avc1mp41", "latin1")),
    box("free", Buffer.alloc(8)),
    box("mdat", data),
    box("moov", box("mvhd", head), ...tracks.map(track)),
  ]);
}

const SMALL: Track = { frames: 1, bytes: 48, width: 4, height: 4, perChunk: 1, duration: 40 };
const MANY = 20_000_000;

/** By what each is. */
export const VIDEOS: Readonly<Record<string, Buffer>> = {
  "an MP4 of a billion frames": mp4([{ ...SMALL, frames: 1e9, perChunk: 1e9 }]),
  "an MP4 of a billion frames of a byte": mp4([{ ...SMALL, frames: 1e9, perChunk: 1e9, bytes: 1, duration: 0 }]),
  "an MP4 of as many frames as a table holds": mp4([{ ...SMALL, frames: MANY, perChunk: MANY, bytes: 1 }]),
  "an MP4 of eight such tracks": mp4(
    Array.from({ length: 8 }, () => ({ ...SMALL, frames: MANY, perChunk: MANY, bytes: 1 })),
  ),
  "an MP4 of 60,000 × 60,000": mp4([{ ...SMALL, width: 60_000, height: 60_000 }]),
  "an MP4 of frames of 2 GB": mp4([{ ...SMALL, bytes: 0x7fff_fff0 }]),
  "an MP4 whose frame lasts for years": mp4([{ ...SMALL, duration: 0x7fff_ffff }]),
};

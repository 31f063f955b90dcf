/** Files that say they are enormous, stop in the middle, or are several things at once. */
import { crc32, deflateSync, gzipSync } from "node:zlib";

const SIDE = 60_000;

export function png(width: number, height: number, data: Buffer = deflateSync(Buffer.alloc(4))): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    pngChunk("IHDR", header),
    pngChunk("IDAT", data),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

function pngChunk(type: string, data: Buffer, length: number = data.length): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** A small picture of one colour, whole and good. */
export const GOOD_PNG: Buffer = png(8, 8, deflateSync(Buffer.alloc(8 * 25)));

function jpeg(width: number, height: number): Buffer {
  const frame = Buffer.from("ffc00011080000000003012200021101031101", "hex");
  frame.writeUInt16BE(height, 5);
  frame.writeUInt16BE(width, 7);
  return Buffer.concat([
    Buffer.from("ffd8ffe000104a46494600010100000100010000", "hex"),
    frame,
    Buffer.from("ffd9", "hex"),
  ]);
}

function gif(width: number, height: number, frames = 1): Buffer {
  const head = Buffer.from("GIF89a0000\x80\0\0\0\0\0\xff\xff\xff", "latin1");
  head.writeUInt16LE(width, 6);
  head.writeUInt16LE(height, 8);
  const frame = Buffer.from("2c00000000000000000002024c0100", "hex");
  frame.writeUInt16LE(width, 5);
  frame.writeUInt16LE(height, 7);
  return Buffer.concat([head, ...Array.from({ length: frames }, () => frame), Buffer.from(";")]);
}

function webp(kind: "VP8X" | "VP8L", data: Buffer): Buffer {
  const head = Buffer.from("RIFF\0\0\0\0WEBP", "latin1");
  const size = Buffer.alloc(4);
  size.writeUInt32LE(data.length);
  const body = Buffer.concat([head, Buffer.from(kind, "latin1"), size, data]);
  body.writeUInt32LE(body.length - 8, 4);
  return body;
}

function box(type: string, data: Buffer, size: number = data.length + 8): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(size >>> 0);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, data]);
}

const FTYP = box("ftyp", Buffer.from("isom\0\0\x02\0isomiso2avc1mp41", "latin1"));

const LAUGHS = `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "ha">${Array.from(
  { length: 12 },
  (_, index) => `<!ENTITY ${String.fromCharCode(98 + index)} "${`&${String.fromCharCode(97 + index)};`.repeat(10)}">`,
).join("")}]><svg xmlns="http://www.w3.org/2000/svg"><text>&m;</text></svg>`;

const REACHING =
  '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="60000" height="60000">' +
  '<image xlink:href="file:///etc/passwd"/><image xlink:href="http://127.0.0.1/"/></svg>';

/** By what each is. */
export const MEDIA: Readonly<Record<string, Buffer>> = {
  "a picture": GOOD_PNG,
  "a PNG of 60,000 × 60,000": png(SIDE, SIDE),
  "a PNG that inflates a thousandfold": png(30_000, 30_000, deflateSync(Buffer.alloc(4_000_000))),
  "a PNG of 0 × 0": png(0, 0),
  "a PNG of 2³¹ × 2³¹": png(0x7fff_ffff, 0x7fff_ffff),
  "a PNG of 2³² × 1": png(0xffff_ffff, 1),
  "a PNG cut off": GOOD_PNG.subarray(0, 40),
  "a PNG's signature": GOOD_PNG.subarray(0, 8),
  "a PNG whose chunk has no end": Buffer.concat([
    GOOD_PNG.subarray(0, 33),
    pngChunk("IDAT", Buffer.alloc(4), 0xffff_fff0),
  ]),
  "a PNG of 2,000 text chunks": Buffer.concat([
    GOOD_PNG.subarray(0, 33),
    ...Array.from({ length: 2_000 }, () => pngChunk("tEXt", Buffer.from("a\0b"))),
    GOOD_PNG.subarray(33),
  ]),
  "a PNG with a compressed text of a thousandfold": Buffer.concat([
    GOOD_PNG.subarray(0, 33),
    pngChunk("zTXt", Buffer.concat([Buffer.from("a\0\0"), deflateSync(Buffer.alloc(20_000_000))])),
    GOOD_PNG.subarray(33),
  ]),
  "a PNG with a colour profile that is none": Buffer.concat([
    GOOD_PNG.subarray(0, 33),
    pngChunk("iCCP", Buffer.concat([Buffer.from("a\0\0"), deflateSync(Buffer.alloc(1_000_000))])),
    GOOD_PNG.subarray(33),
  ]),
  "a JPEG of 60,000 × 60,000": jpeg(SIDE, SIDE),
  "a JPEG of 0 × 0": jpeg(0, 0),
  "a JPEG's signature": Buffer.from("ffd8ff", "hex"),
  "a JPEG of markers": Buffer.concat([Buffer.from("ffd8", "hex"), Buffer.alloc(10_000, 0xff)]),
  "a JPEG with an endless EXIF": Buffer.from(
    `ffd8ffe1ffff${Buffer.from("Exif\0\0MM\0*\0\0\0\x08\xff\xff", "latin1").toString("hex")}`,
    "hex",
  ),
  "a GIF of 60,000 × 60,000": gif(SIDE, SIDE),
  "a GIF of 5,000 frames of 60,000 × 60,000": gif(SIDE, SIDE, 5_000),
  "a GIF cut off": gif(10, 10).subarray(0, 15),
  "a WebP of 16,384 × 16,384": webp("VP8X", Buffer.from("1000000000ff3f00ff3f00".slice(0, 20), "hex")),
  "a WebP that is lossless and empty": webp("VP8L", Buffer.from("2fffffffff0f", "hex")),
  "a WebP's signature": Buffer.from("RIFF\xff\xff\xff\xffWEBP", "latin1"),
  "a TIFF whose directory is itself": Buffer.from("49492a00080000000100000104000100000000000000080000000000", "hex"),
  "a TIFF whose directory lies beyond": Buffer.from("49492a00ffffffff", "hex"),
  "a BMP of 60,000 × 60,000": Buffer.from("424d46000000000000003600000028000000600ea000600ea00001001800", "hex"),
  "an AVIF of nothing": Buffer.concat([
    box("ftyp", Buffer.from("avif\0\0\0\0avifmif1", "latin1")),
    box("meta", Buffer.alloc(4)),
  ]),
  "a HEIC with a box larger than everything": Buffer.concat([
    box("ftyp", Buffer.from("heic\0\0\0\0mif1heic", "latin1")),
    box("meta", Buffer.alloc(8), 0xffff_ffff),
  ]),
  "an SVG that laughs a billion times": Buffer.from(LAUGHS),
  "an SVG that reaches elsewhere": Buffer.from(REACHING),
  "an SVG of 100,000 groups": Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg">${"<g>".repeat(100_000)}`),
  "an MP4 whose atom is 2⁶⁴ long": Buffer.concat([
    FTYP,
    Buffer.from("000000016d6f6f76ffffffffffffffff", "hex"),
    Buffer.alloc(64),
  ]),
  "an MP4 whose atom has size 0": Buffer.concat([FTYP, box("moov", Buffer.alloc(64), 0)]),
  "an MP4 whose atoms are of size 1": Buffer.concat([
    FTYP,
    ...Array.from({ length: 500 }, () => box("moov", Buffer.alloc(0), 1)),
  ]),
  "an MP4 of 10,000 nested atoms": Buffer.concat([
    FTYP,
    ...Array.from({ length: 10_000 }, (_, index) => box("moov", Buffer.alloc(0), (10_000 - index) * 8)),
  ]),
  "a WebM whose element never ends": Buffer.from("1a45dfa301ffffffffffffff4282847765626d", "hex"),
  "a WAV of 4 GB": Buffer.from("RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0", "latin1"),
  "an MP3 whose tag is 256 MB": Buffer.from("ID3\x04\0\0\x7f\x7f\x7f\x7f", "latin1"),
  "an Ogg of pages that say nothing": Buffer.concat(
    Array.from({ length: 500 }, () => Buffer.from("OggS\0\x02", "latin1")),
  ),
  "a ZIP of 4 GB in 40 bytes": Buffer.from("504b03041400000008000000210000000000ffffffffffffffff0800000061", "hex"),
  "a ZIP of a document": Buffer.concat([
    Buffer.from("504b0304140000000000000021000000000000000000000000001300000000", "hex"),
    Buffer.from("[Content_Types].xml"),
    Buffer.alloc(100),
  ]),
  "a gzip of a thousandfold": gzipSync(Buffer.alloc(5_000_000)),
  "a PDF without an end": Buffer.from("%PDF-1.7\n1 0 obj<</Length 99999999999>>stream\n"),
  "an HTML page": Buffer.from("<!DOCTYPE html><script>alert(1)</script>"),
  "comments without end": Buffer.from("<!-- a -->".repeat(1_600)),
  "comments that do not close": Buffer.from("<!-- ".repeat(3_200)),
  "white space": Buffer.from(" \n".repeat(8_000)),
  "declarations without end": Buffer.from("<?x ?>".repeat(2_600)),
  "declarations that do not close": Buffer.from("<?".repeat(8_000)),
  "a picture that is also a page": Buffer.concat([gif(1, 1), Buffer.from("<script>alert(1)</script>")]),
  zeros: Buffer.alloc(20_000),
  ones: Buffer.alloc(20_000, 0xff),
  "one byte": Buffer.from([0]),
};

/** Media in the forms of texts: types, encodings and alphabets that are not quite right. */
export const DATA_URIS: readonly string[] = [
  "data:",
  "data:,",
  "data:,x",
  "data:;base64,",
  "data:;base64",
  "data:image/png;base64",
  "data:image/png;base64,",
  "data:image/png;base64,AAAA",
  "data:image/png;base64,AAA",
  "data:image/png;base64,AA=",
  "data:image/png;base64,AA==",
  "data:image/png;base64,A===",
  "data:image/png;base64,====",
  "data:image/png;base64,AA==AA==",
  "data:image/png;base64,A A A A",
  "data:image/png;base64,AA\nAA",
  "data:image/png;base64,AA%0AAA",
  "data:image/png;base64,AA%",
  "data:image/png;base64,%%%%",
  "data:image/png;base64,-_-_",
  "data:image/png;base64,+/-_",
  "data:image/png;base64,ÄÖÜ",
  "data:image/png;base64,\u0000",
  "data:IMAGE/PNG;BASE64,AAAA",
  "DATA:image/png;base64,AAAA",
  "data: image/png ; base64 ,AAAA",
  "data:image/png;charset=utf-8;base64,AAAA",
  "data:image/png;base64;charset=utf-8,AAAA",
  "data:;;;;,x",
  `data:${"a/b;".repeat(2_000)}base64,AAAA`,
  `data:${"x".repeat(20_000)},y`,
  "data:text/html,<script>alert(1)</script>",
  "data:text/plain,%ff%fe%00",
  `data:text/plain,${"%41".repeat(5_000)}`,
  `data:text/plain,${"%".repeat(5_000)}`,
  `data:image/png;base64,${GOOD_PNG.toString("base64")}`,
  `data:image/png;base64,${GOOD_PNG.toString("base64url")}`,
  `data:image/png;base64,${encodeURIComponent(GOOD_PNG.toString("base64"))}`,
  `data:audio/mpeg;base64,${GOOD_PNG.toString("base64")}`,
  GOOD_PNG.toString("base64"),
  GOOD_PNG.toString("base64").replace(/.{20}/g, "$&\r\n"),
  "blob:x",
  "A".repeat(4_001),
  "=".repeat(100),
];

/**
 * Pictures from files to plain 8-bit sRGB pixels and back, by sharp. A model imports sharp in its
 * `setup` and hands it in, so that importing this module costs nothing.
 *
 * @module
 */
import { InvalidInput, type MediaFile } from "inferq/model";
import type sharp from "sharp";

export type Sharp = typeof sharp;

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Three bytes a pixel, row by row. */
  readonly rgb: Uint8Array;
  /** One byte a pixel; missing when the picture is opaque. */
  readonly alpha?: Uint8Array;
}

export interface DecodedImage extends Pixels {
  /** What its file was, e.g. "jpeg". */
  readonly format: string;
  /** Frames of an animation, or pages; only the first is decoded. */
  readonly frames: number;
}

/** SVG is not among them: it has no pixels of its own, and can name other files. */
const FORMATS = ["jpeg", "png", "webp", "gif", "tiff", "heif"];

/**
 * Decodes the first frame of an image file: turned upright (EXIF), converted to 8-bit sRGB from
 * whatever it was (16 bits, grey, CMYK, palette, another colour profile).
 *
 * @param field the parameter, for the error's sentence.
 * @throws {InvalidInput} when it is no image of a known format, is damaged, or has more than `maxPixels`.
 */
export async function decodeImage(
  sharp: Sharp,
  file: MediaFile,
  { field, maxPixels }: { readonly field: string; readonly maxPixels: number },
): Promise<DecodedImage> {
  const { format, frames } = await inspect(sharp, file, field, maxPixels);
  try {
    const { data, info } = await sharp(file.path, { failOn: "error", limitInputPixels: maxPixels })
      .autoOrient()
      .toColourspace("srgb")
      .raw()
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, format, frames, ...separate(data, info.channels) };
  } catch (cause) {
    throw damaged(field, format, file, cause);
  }
}

async function inspect(
  sharp: Sharp,
  file: MediaFile,
  field: string,
  maxPixels: number,
): Promise<{ format: string; frames: number }> {
  const expected = "expected a JPEG, PNG, WebP, GIF, TIFF or AVIF picture";
  // Without a limit: the limit's own sentence would not name the size.
  const metadata = await sharp(file.path, { limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => {
      const [, kind = ""] = file.contentType.split("/");
      if (FORMATS.includes(kind)) throw damaged(field, kind, file, cause);
      throw new InvalidInput(`${field} cannot be read as a picture: ${expected}, got ${file.contentType}`, { cause });
    });
  const { format, width, height } = metadata;
  if (!FORMATS.includes(format)) {
    throw new InvalidInput(`${field} has a format that is not taken: ${expected}, got ${format}`);
  }
  if (width * height > maxPixels) {
    throw new InvalidInput(
      `${field} is too large: expected at most ${megapixels(maxPixels)}, got ${width} × ${height} (${megapixels(width * height)}); make it smaller first`,
    );
  }
  return { format, frames: metadata.pages ?? 1 };
}

/** Splits RGB or RGBA bytes; an alpha channel that is opaque everywhere is dropped. */
function separate(data: Uint8Array, channels: number): Pick<Pixels, "rgb" | "alpha"> {
  if (channels === 3) return { rgb: data };
  if (channels !== 4) throw new Error(`expected 3 or 4 channels, got ${channels}`);
  const count = data.length / 4;
  const rgb = new Uint8Array(count * 3);
  const alpha = new Uint8Array(count);
  let opaque = true;
  for (let i = 0; i < count; i++) {
    rgb[i * 3] = data[i * 4] ?? 0;
    rgb[i * 3 + 1] = data[i * 4 + 1] ?? 0;
    rgb[i * 3 + 2] = data[i * 4 + 2] ?? 0;
    alpha[i] = data[i * 4 + 3] ?? 0;
    opaque &&= alpha[i] === 255;
  }
  return opaque ? { rgb } : { rgb, alpha };
}

/** Joins colour and alpha to RGBA bytes. */
export function withAlpha(rgb: Uint8Array, alpha: Uint8Array): Uint8Array {
  const rgba = new Uint8Array(alpha.length * 4);
  for (let i = 0; i < alpha.length; i++) {
    rgba[i * 4] = rgb[i * 3] ?? 0;
    rgba[i * 4 + 1] = rgb[i * 3 + 1] ?? 0;
    rgba[i * 4 + 2] = rgb[i * 3 + 2] ?? 0;
    rgba[i * 4 + 3] = alpha[i] ?? 0;
  }
  return rgba;
}

/**
 * The extension to give a result: "jpg" when the input was a JPEG and the result is opaque (a photo
 * as PNG would be ten times the size), else "png", which loses nothing.
 */
export function extensionFor(inputFormat: string, opaque: boolean): "jpg" | "png" {
  return inputFormat === "jpeg" && opaque ? "jpg" : "png";
}

/** Writes a PNG or, to a path that ends with `.jpg`, a JPEG of high quality with full colour resolution. */
export async function encodeImage(sharp: Sharp, { width, height, rgb, alpha }: Pixels, path: string): Promise<void> {
  const data = alpha === undefined ? rgb : withAlpha(rgb, alpha);
  const image = sharp(data, { limitInputPixels: false, raw: { width, height, channels: alpha === undefined ? 3 : 4 } });
  await (path.endsWith(".jpg") ? image.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }) : image.png()).toFile(path);
}

/** With libvips' first line, but for the path that it may begin with: where files lie is nothing for clients. */
function damaged(field: string, format: string, { path }: MediaFile, cause: unknown): InvalidInput {
  const message = cause instanceof Error ? cause.message : String(cause);
  const reason = message.replaceAll(`${path}: `, "").split("\n", 1)[0]!.replace(/:\s*$/, "");
  return new InvalidInput(`${field} is a damaged ${format} file: ${reason}`, { cause });
}

function megapixels(pixels: number): string {
  return `${(pixels / 1e6).toFixed(1)} megapixels`;
}

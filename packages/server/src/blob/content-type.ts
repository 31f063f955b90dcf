/** Media types by file extension: what is made and taken here. A blob's type is told by its key alone. */
const TYPES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  avif: "image/avif",
  bmp: "image/bmp",
  tiff: "image/tiff",
  tif: "image/tiff",
  svg: "image/svg+xml",
  mp4: "video/mp4",
  webm: "video/webm",
  mov: "video/quicktime",
  mkv: "video/matroska",
  mp3: "audio/mpeg",
  wav: "audio/wav",
  ogg: "audio/ogg",
  flac: "audio/flac",
  txt: "text/plain",
  html: "text/html",
  json: "application/json",
  pdf: "application/pdf",
  bin: "application/octet-stream",
};

/** Other names under which the same types are met (RFC 9559, and those that never were registered). */
const ALIASES: Readonly<Record<string, string>> = {
  "image/jpg": "jpg",
  "image/apng": "png",
  "image/x-ms-bmp": "bmp",
  "video/x-matroska": "mkv",
  "video/x-m4v": "mp4",
  "audio/mp3": "mp3",
  "audio/x-wav": "wav",
  "audio/vnd.wave": "wav",
  "audio/x-flac": "flac",
  "audio/opus": "ogg",
};

const EXTENSIONS = new Map<string, string>(Object.entries(ALIASES));
for (const [extension, type] of Object.entries(TYPES)) {
  if (!EXTENSIONS.has(type)) EXTENSIONS.set(type, extension);
}

/** The type that the extension of `name` (a key, a path, a file name) tells; `application/octet-stream` if none is known. */
export function contentTypeOf(name: string): string {
  const extension = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return Object.hasOwn(TYPES, extension) ? TYPES[extension]! : TYPES["bin"]!;
}

/** The extension, without its dot, for `contentType` (parameters are ignored); `bin` if none is known. */
export function extensionOf(contentType: string): string {
  return EXTENSIONS.get(contentType.split(";", 1)[0]!.trim().toLowerCase()) ?? "bin";
}

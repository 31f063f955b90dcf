/** What the model makes of an input: made by it, and once more by who checks it. */
import { createCipheriv, createHash } from "node:crypto";

export interface Work {
  /** Of one request alone. */
  readonly nonce: string;
  readonly kind: "image" | "text";
  /** Of the output, bytes. */
  readonly size: number;
  /** How long the run takes, ms. */
  readonly ms: number;
}

/** A picture to send with the work, so far as the server looks at it: its first bytes are a GIF's. */
export function pictureFor({ nonce }: Work): Buffer {
  return Buffer.concat([Buffer.from("GIF89a"), bytesOf(`picture ${nonce}`, 3_000)]);
}

/** `picture`: that which came with it, if one did. A text is as many letters. */
export function outputOf({ nonce, kind, size }: Work, picture: Uint8Array | null): Buffer {
  const material = picture === null ? "" : createHash("sha1").update(picture).digest("hex");
  const bytes = bytesOf(`${nonce} ${material}`, size);
  return kind === "image" ? bytes : Buffer.from(bytes.toString("base64").slice(0, size));
}

/** As many bytes as are asked for, always the same of one seed. */
function bytesOf(seed: string, size: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

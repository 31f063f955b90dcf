import { open } from "node:fs/promises";
import { SNIFFED_BYTES } from "./media.ts";

/** Size and first bytes of a local file. */
export async function headOfFile(path: string): Promise<{ readonly size: number; readonly head: Uint8Array }> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, SNIFFED_BYTES)), 0);
    return { size, head: buffer.subarray(0, bytesRead) };
  } finally {
    await file.close();
  }
}

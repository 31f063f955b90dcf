import { closeSync, openSync } from "node:fs";
import { join } from "node:path";

const NAME = "control.sock";
/** Bytes that a path of a socket may have (unix(7), sun_path: 108 with the zero at its end; 104 on other systems than Linux). */
const MOST_BYTES = process.platform === "linux" ? 107 : 103;

/** A path for the system's calls; valid until disposed of. */
export interface ControlPath extends Disposable {
  readonly path: string;
}

/**
 * Where a server that uses `dataDir` listens for the command line. A path that is too long for a socket is
 * said in short, through the descriptor of its directory. Throws where that cannot be.
 */
export function controlPath(dataDir: string): ControlPath {
  const path = join(dataDir, NAME);
  if (Buffer.byteLength(path) <= MOST_BYTES) return { path, [Symbol.dispose]() {} };
  if (process.platform !== "linux")
    throw new Error(`${path} is longer than the ${MOST_BYTES} bytes of a socket's path`);
  const directory = openSync(dataDir, "r");
  return { path: `/proc/self/fd/${directory}/${NAME}`, [Symbol.dispose]: () => closeSync(directory) };
}

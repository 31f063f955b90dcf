/**
 * The simulated disk: what a file system promises by POSIX and no more. A write is read back at once,
 * and is sure to be there after a power loss only when its file was fsynced after it; a name, only when its directory was.
 */
import type { Random } from "./random.ts";

export class Disk {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }
}

import { describe, expect, test } from "vitest";
import { Disk, fault } from "../../torture/simulation/disk.ts";
import { Random } from "../../torture/simulation/random.ts";

const SEEDS = Array.from({ length: 300 }, (_, seed) => seed);
const MAKE = { create: true, exclusive: true };

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Path → text of all files after a power loss with that seed. */
function survivors(disk: Disk, seed: number): Record<string, string> {
  const after = disk.afterPowerLoss(new Random(seed));
  const files = [...after.tree("/")].filter(([, bytes]) => bytes !== null);
  return Object.fromEntries(files.map(([path, bytes]) => [path, new TextDecoder().decode(bytes!)]));
}

/** The different outcomes of a power loss, as JSON. */
function outcomes(disk: Disk): Set<string> {
  return new Set(SEEDS.map((seed) => JSON.stringify(survivors(disk, seed))));
}

/** A disk with the files named, durable with their names. */
function diskWith(files: Record<string, string>): Disk {
  const disk = new Disk(new Random(0));
  for (const [path, text] of Object.entries(files)) {
    const file = disk.open(path, MAKE);
    file.write(bytesOf(text), 0);
    file.sync();
  }
  disk.open("/").sync();
  return disk;
}

describe("what was fsynced is there after a power loss", () => {
  test("a file fsynced with its directory is always there", () => {
    expect(outcomes(diskWith({ "/a": "whole" }))).toEqual(new Set(['{"/a":"whole"}']));
  });

  test("an fsync of the file alone does not keep its name", () => {
    const disk = new Disk(new Random(0));
    const file = disk.open("/a", MAKE);
    file.write(bytesOf("whole"), 0);
    file.sync();
    expect(outcomes(disk)).toEqual(new Set(["{}", '{"/a":"whole"}']));
  });

  test("a directory whose own name was not fsynced takes with it what was fsynced inside", () => {
    const disk = new Disk(new Random(0));
    disk.mkdir("/d");
    const file = disk.open("/d/a", MAKE);
    file.write(bytesOf("whole"), 0);
    file.sync();
    disk.open("/d").sync();
    expect(outcomes(disk)).toEqual(new Set(["{}", '{"/d/a":"whole"}']));
  });

  test("a write that was not fsynced may be lost, kept or torn at its sectors", () => {
    const disk = diskWith({ "/a": "o".repeat(1024) });
    disk.open("/a").write(bytesOf("n".repeat(1024)), 0);
    const [o, n] = ["o".repeat(512), "n".repeat(512)];
    expect(outcomes(disk)).toEqual(new Set([o + o, n + n, o + n, n + o].map((text) => JSON.stringify({ "/a": text }))));
  });

  test("of a file that grew, the size may be kept without the bytes", () => {
    const disk = diskWith({ "/a": "" });
    disk.open("/a").write(bytesOf("n"), 0);
    expect(outcomes(disk)).toEqual(new Set(['{"/a":""}', '{"/a":"n"}', JSON.stringify({ "/a": "\0" })]));
  });

  test("writes are kept and lost in any order", () => {
    const disk = diskWith({ "/a": "oo" });
    const file = disk.open("/a");
    file.write(bytesOf("x"), 0);
    file.write(bytesOf("y"), 1);
    expect(outcomes(disk)).toEqual(new Set(["oo", "xo", "oy", "xy"].map((text) => JSON.stringify({ "/a": text }))));
  });

  test("bytes beside those written are never touched, not even in the same sector", () => {
    const disk = diskWith({ "/a": "a".repeat(100) });
    disk.open("/a").write(bytesOf("b"), 50);
    for (const seed of SEEDS) {
      const text = survivors(disk, seed)["/a"]!;
      expect(text.slice(0, 50) + text.slice(51)).toBe("a".repeat(99));
    }
  });

  test("a file that was cut is as long as before or as after", () => {
    const disk = diskWith({ "/a": "long" });
    disk.open("/a").truncate(1);
    expect(outcomes(disk)).toEqual(new Set(['{"/a":"long"}', '{"/a":"l"}']));
  });
});

describe("names", () => {
  test("a rename is done as a whole or not at all", () => {
    const disk = diskWith({ "/a": "new", "/b": "old" });
    disk.rename("/a", "/b");
    expect(outcomes(disk)).toEqual(new Set(['{"/a":"new","/b":"old"}', '{"/b":"new"}']));
    disk.open("/").sync();
    expect(outcomes(disk)).toEqual(new Set(['{"/b":"new"}']));
  });

  test("a move is durable when the directory that it went into is fsynced, and not before", () => {
    const disk = diskWith({ "/a": "x" });
    disk.mkdir("/d");
    disk.open("/").sync();
    disk.rename("/a", "/d/a");
    disk.open("/").sync();
    expect(outcomes(disk)).toEqual(new Set(['{"/a":"x"}', '{"/d/a":"x"}']));
    disk.open("/d").sync();
    expect(outcomes(disk)).toEqual(new Set(['{"/d/a":"x"}']));
  });

  test("a file renamed before it was fsynced may be found empty", () => {
    const disk = diskWith({ "/b": "old" });
    disk.open("/a", MAKE).write(bytesOf("new"), 0);
    disk.rename("/a", "/b");
    disk.open("/").sync();
    expect(outcomes(disk)).toContain('{"/b":""}');
  });

  test("a name that was taken may be there again until its directory is fsynced", () => {
    const disk = diskWith({ "/a": "x" });
    disk.unlink("/a");
    expect(outcomes(disk)).toEqual(new Set(["{}", '{"/a":"x"}']));
    disk.open("/").sync();
    expect(outcomes(disk)).toEqual(new Set(["{}"]));
  });

  test("a second name keeps the file when the first is taken", () => {
    const disk = diskWith({ "/a": "x" });
    disk.link("/a", "/b");
    disk.unlink("/a");
    disk.open("/").sync();
    expect(outcomes(disk)).toEqual(new Set(['{"/b":"x"}']));
  });
});

describe("faults", () => {
  test("are Node's", () => {
    const disk = diskWith({ "/a": "x" });
    disk.mkdir("/d");
    expect(() => disk.open("/none")).toThrow(
      expect.objectContaining({
        code: "ENOENT",
        errno: -2,
        syscall: "open",
        path: "/none",
        message: "ENOENT: no such file or directory, open '/none'",
      }),
    );
    expect(() => disk.open("/a", MAKE)).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(() => disk.open("/a/b")).toThrow(expect.objectContaining({ code: "ENOTDIR" }));
    expect(() => disk.link("/a", "/d")).toThrow(
      expect.objectContaining({ message: "EEXIST: file already exists, link '/a' -> '/d'", dest: "/d" }),
    );
    expect(() => disk.unlink("/d")).toThrow(expect.objectContaining({ code: "EISDIR" }));
    disk.rename("/a", "/d/a");
    expect(() => disk.rmdir("/d")).toThrow(expect.objectContaining({ code: "ENOTEMPTY" }));
  });

  test("what is thrown before an operation is thrown instead of doing it", () => {
    const disk = diskWith({ "/a": "old" });
    const file = disk.open("/a");
    disk.before = (operation) => {
      if (operation.changes) throw fault("ENOSPC", operation);
    };
    expect(() => file.write(bytesOf("new"), 0)).toThrow("ENOSPC: no space left on device, write '/a'");
    expect(() => disk.unlink("/a")).toThrow("ENOSPC");
    disk.before = null;
    expect(survivors(disk, 1)).toEqual({ "/a": "old" });
  });

  test("what a failed fsync could not write, no later one writes", () => {
    const seen = new Set<string>();
    for (const seed of SEEDS.slice(0, 20)) {
      const disk = new Disk(new Random(seed));
      const file = disk.open("/a", MAKE);
      disk.open("/").sync();
      file.write(bytesOf("new"), 0);
      disk.before = (operation) => {
        if (operation.name === "fsync") throw fault("EIO", operation);
      };
      expect(() => file.sync()).toThrow("EIO");
      disk.before = null;
      file.sync();
      for (const outcome of outcomes(disk)) seen.add(outcome);
    }
    expect(seen).toEqual(new Set(['{"/a":""}', '{"/a":"new"}']));
  });
});

test("the same seed leaves the same", () => {
  const disk = diskWith({ "/a": "o".repeat(5000) });
  disk.open("/a").write(bytesOf("n".repeat(5000)), 0);
  disk.open("/b", MAKE).write(bytesOf("b"), 0);
  for (const seed of SEEDS.slice(0, 20)) expect(survivors(disk, seed)).toEqual(survivors(disk, seed));
});

import * as realFs from "node:fs";
import * as realPromises from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { afterEach, describe, expect, test } from "vitest";
import { Disk } from "../../torture/simulation/disk.ts";
import { Machine, Process, switchTo } from "../../torture/simulation/machine.ts";
import * as fsPromises from "../../torture/simulation/platform/fs-promises.ts";
import * as fs from "../../torture/simulation/platform/fs.ts";
import { Random } from "../../torture/simulation/random.ts";

function start(seed = 1): Machine {
  const random = new Random(seed);
  const machine = new Machine(random, new Disk(random), new Process("first"));
  switchTo(machine);
  return machine;
}

afterEach(() => switchTo(null));

/** Lets time pass until `work` has ended. */
async function finished<T>(machine: Machine, work: Promise<T>): Promise<T> {
  let over = false;
  const end = (): boolean => (over = true);
  work.then(end, end);
  await Promise.resolve();
  await machine.run(() => over);
  return await work;
}

const { constants } = realFs;

interface Modules {
  readonly sync: Pick<typeof fs, Exclude<keyof typeof fs, "createWriteStream" | "createReadStream">>;
  readonly async: Omit<typeof fsPromises, "FileHandle">;
  readonly createWriteStream: (path: string, options: { flags: string }) => NodeJS.WritableStream;
  readonly createReadStream: (path: string) => NodeJS.ReadableStream;
}

/** What is answered, or thrown, with the directory's own name taken out of it. */
async function told(directory: string, work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall, path, dest, message } = error as NodeJS.ErrnoException & { dest?: string };
    return JSON.parse(JSON.stringify({ code, syscall, path, dest, message }).replaceAll(directory, "")) as unknown;
  }
}

const calls: Record<string, (modules: Modules, at: (name: string) => string) => unknown> = {
  "a file is written and read": async ({ async: { writeFile, open, stat } }, at) => {
    await writeFile(at("x"), Buffer.from("0123456789"), { flag: "wx", flush: true });
    await using file = await open(at("x"));
    const first = await file.read(Buffer.alloc(4), 0);
    const next = await file.read(Buffer.alloc(4), 1, 2);
    const placed = await file.read(Buffer.alloc(20), 0, 20, 8);
    const { size } = await stat(at("x"));
    return [[first, next, placed].map(({ bytesRead, buffer }) => [bytesRead, buffer.toString()]), size];
  },
  "a stretch of a file is streamed": async ({ async: { writeFile, open } }, at) => {
    await writeFile(at("x"), "0123456789");
    const texts = [];
    for (const range of [{}, { start: 3 }, { start: 3, end: 3 }, { start: 20 }]) {
      texts.push(await text((await open(at("x"))).createReadStream(range)));
    }
    return texts;
  },
  "streams in and out": async ({ createWriteStream, createReadStream }, at) => {
    await pipeline(
      Readable.from([Buffer.from("one "), Buffer.from("two")]),
      createWriteStream(at("x"), { flags: "wx" }),
    );
    return await text(createReadStream(at("x")) as Readable);
  },
  "a stream into a file that is there": async ({ async: { writeFile }, createWriteStream }, at) => {
    await writeFile(at("x"), "old");
    await pipeline(Readable.from([Buffer.from("new")]), createWriteStream(at("x"), { flags: "wx" }));
  },
  "directories with those above them": async ({ async: { mkdir, readdir, stat } }, at) => {
    await mkdir(at("a/b/c"), { recursive: true });
    await mkdir(at("a/b/c"), { recursive: true });
    return [await readdir(at("a")), (await stat(at("a/b/c"))).isDirectory(), (await stat(at("a"))).isFile()];
  },
  "a directory where a file is": async ({ async: { writeFile, mkdir } }, at) => {
    await writeFile(at("a"), "");
    await mkdir(at("a/b"), { recursive: true });
  },
  "a directory that is there": async ({ async: { mkdir } }, at) => {
    await mkdir(at("a"));
    await mkdir(at("a"));
  },
  "names in a directory": async ({ async: { writeFile, opendir } }, at) => {
    for (const name of ["b", "a"]) await writeFile(at(name), "");
    const names = [];
    for await (const { name } of await opendir(at(""))) names.push(name);
    return names.sort();
  },
  "a whole tree is removed": async ({ async: { mkdir, writeFile, rm, readdir } }, at) => {
    await mkdir(at("a/b"), { recursive: true });
    await writeFile(at("a/b/x"), "");
    await writeFile(at("a/y"), "");
    await rm(at("a"), { recursive: true, force: true });
    await rm(at("none"), { force: true });
    return await readdir(at(""));
  },
  "a file is moved, copied and given a second name": async ({ async: { writeFile, link, rename, copyFile } }, at) => {
    await writeFile(at("x"), "x");
    await link(at("x"), at("y"));
    await rename(at("x"), at("z"));
    await copyFile(at("z"), at("w"), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await link(at("z"), at("y"));
  },
  "at once: a directory, a file in it, and both gone": ({ sync }, at) => {
    sync.mkdirSync(at("a/b"), { recursive: true });
    const descriptor = sync.openSync(at("a/b/x"), "a");
    sync.fsyncSync(descriptor);
    sync.closeSync(descriptor);
    const directory = sync.openSync(at("a"), constants.O_RDONLY);
    sync.fsyncSync(directory);
    sync.closeSync(directory);
    sync.accessSync(at("a/b/x"));
    const seen = [sync.existsSync(at("a/b/x")), sync.statSync(at("a/b/x"))?.size];
    sync.rmSync(at("a"), { recursive: true });
    return [...seen, sync.existsSync(at("a")), sync.statSync(at("a"), { throwIfNoEntry: false })];
  },
  "rename of nothing": ({ async: { rename } }, at) => rename(at("x"), at("y")),
  "unlink of nothing": ({ async: { unlink } }, at) => unlink(at("x")),
  "rmdir of nothing": ({ async: { rmdir } }, at) => rmdir(at("x")),
  "lstat of nothing": ({ async: { lstat } }, at) => lstat(at("x")),
  "open of nothing": ({ async: { open } }, at) => open(at("x")),
  "statSync of nothing": ({ sync }, at) => sync.statSync(at("x")),
  "accessSync of nothing": ({ sync }, at) => sync.accessSync(at("x")),
  "a directory that is not empty": async ({ async: { mkdir, rmdir } }, at) => {
    await mkdir(at("a/b"), { recursive: true });
    await rmdir(at("a"));
  },
};

describe("what Node's file modules do, their stand-ins do", () => {
  test.for(Object.entries(calls))("%s", async ([, work]) => {
    using directory = realFs.mkdtempDisposableSync(join(tmpdir(), "inferq-files-"));
    const at = (name: string): string => join(directory.path, name);
    const real = { sync: realFs, async: realPromises, ...realFs } as unknown as Modules;
    const expected = await told(directory.path, () => work(real, at));
    const machine = start();
    fs.mkdirSync("/data");
    const simulated: Modules = { sync: fs, async: fsPromises, ...fs };
    const answer = await finished(
      machine,
      told("/data", () => work(simulated, (name) => join("/data", name))),
    );
    expect(answer).toEqual(expected);
  });
});

test("calls that are under way at once may be done in another order, by the seed", async () => {
  const winners = new Set<string>();
  for (let seed = 0; seed < 30; seed++) {
    const machine = start(seed);
    const open = async (name: string): Promise<string | null> =>
      await fsPromises.open("/x", "wx").then(
        () => name,
        () => null,
      );
    const names = await finished(machine, Promise.all([open("one"), open("two")]));
    winners.add(names.join());
  }
  expect(winners).toEqual(new Set(["one,", ",two"]));
});

test("a process that died hears of nothing, and does nothing any more", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const machine = start(seed);
    const { current, disk } = machine;
    let heard = false;
    const write = async (): Promise<never> => {
      for (;;) {
        heard = false;
        await fsPromises.writeFile("/x", "x", { flush: true }).finally(() => (heard = true));
      }
    };
    void write();
    machine.after(1 + machine.random.next(), () => {
      current.isAlive = false;
    });
    await machine.run(() => !current.isAlive);
    const before = disk.operations;
    void write();
    expect(() => fs.mkdirSync("/z")).toThrow("The process first has died.");
    machine.current = new Process("next");
    let over = false;
    machine.after(1000, () => (over = true));
    await machine.run(() => over);
    expect([heard, disk.operations]).toEqual([false, before]);
  }
});

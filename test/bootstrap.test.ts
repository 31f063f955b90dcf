/**
 * The way into a fresh clone (scripts/bootstrap.mjs), in a directory that has nothing but what a clone has.
 * npm is stood in for by a script that writes what npm would: these tests run without a network, and what real npms
 * do is not theirs to say.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Ended, temporaryDirectory } from "./command-line.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  optionalDependencies: Record<string, string>;
};
/** Of this platform: the package that the pinned Node comes in, and the path of the file that runs. */
const NODE_PACKAGE = Object.keys(MANIFEST.optionalDependencies).find((name) =>
  existsSync(join(ROOT, "node_modules", name)),
);
const NODE_FILE = join("node_modules", NODE_PACKAGE ?? "none", "bin/node");

/** Tells that it was called, then makes the pinned Node as a link to this one. */
const NPM = `
import { appendFileSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
appendFileSync("npm-calls", process.argv.slice(2).join(" ") + "\\n");
mkdirSync(dirname("${NODE_FILE}"), { recursive: true });
symlinkSync(process.execPath, "${NODE_FILE}");
`;
const NPM_WITHOUT_NODE = `import { appendFileSync } from "node:fs"; appendFileSync("npm-calls", "install\\n");`;
const NPM_OFFLINE = `console.error("npm error network request failed"); process.exitCode = 1;`;
/** Writes half of a package, says so, and waits to be killed. */
const NPM_THAT_HANGS = `
import { mkdirSync, writeFileSync } from "node:fs";
mkdirSync("node_modules/half", { recursive: true });
writeFileSync("node_modules/half/package.json", "{}");
console.error("half written by " + process.pid);
setInterval(() => {}, 1000);
`;

class Clone {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(join(path, "packages/server/src"), { recursive: true });
    for (const file of ["package.json", "package-lock.json", "scripts/bootstrap.mjs"])
      cpSync(join(ROOT, file), join(path, file));
    writeFileSync(join(path, "packages/server/src/cli.ts"), "console.log(process.version, ...process.argv.slice(2));");
  }

  /** Starts `bootstrap.mjs <args>` with `npm` as npm; `pretend` is the version of Node that it is to see. */
  start(args: readonly string[], npm: string, pretend?: string): ChildProcess {
    const npmFile = join(this.path, "npm.js");
    writeFileSync(npmFile, npm);
    const versions = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${pretend}" } });
      Object.defineProperty(process, "version", { value: "v${pretend}" });`;
    const flags = pretend === undefined ? [] : ["--import", `data:text/javascript,${encodeURIComponent(versions)}`];
    return spawn(process.execPath, [...flags, join(this.path, "scripts/bootstrap.mjs"), ...args], {
      cwd: this.path,
      env: { PATH: process.env["PATH"], npm_execpath: npmFile },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async run(args: readonly string[], npm: string = NPM, pretend?: string): Promise<Ended> {
    const child = this.start(args, npm, pretend);
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "exit")]);
    return { code: code as number | null, stdout, stderr };
  }

  installs(): number {
    const log = join(this.path, "npm-calls");
    return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").length : 0;
  }
}

/** What `child` prints to stderr in the group of `pattern`. */
async function printed(child: ChildProcess, pattern: RegExp): Promise<string> {
  let output = "";
  for await (const chunk of child.stderr!) {
    output += String(chunk);
    const found = pattern.exec(output)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`It ended without printing ${pattern}:\n${output}`);
}

function expectOneSentence(ended: Ended, sentence: RegExp): void {
  expect(ended.stderr.trim().split("\n").at(-1)).toMatch(sentence);
  expect(ended.stderr).not.toMatch(/\n\s+at /);
  expect(ended).toMatchObject({ code: 1, stdout: "" });
}

test("the first command installs and runs on the pinned Node; the second only runs", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(join(directory.path, "with a space"));
  const first = await clone.run(["inferq", "keys", "list"]);
  expect(first).toMatchObject({ code: 0, stdout: `${process.version} keys list\n` });
  expect(first.stderr).toMatch(/^Installing npm packages .*\nInstalled in \d+ s\.\n$/);
  expect(await clone.run(["inferq", "keys", "list"])).toEqual({ ...first, stderr: "" });
  expect(clone.installs()).toBe(1);
});

test("a Node that is too old", async () => {
  using directory = temporaryDirectory();
  const ended = await new Clone(directory.path).run(["start"], NPM, "18.20.8");
  expectOneSentence(
    ended,
    /^Node 20 or newer is needed to install, got v18\.20\.8\. Get one from https:\/\/nodejs\.org\.$/,
  );
  expect(readdirSync(directory.path)).not.toContain("node_modules");
});

test("an unknown command, or none", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(directory.path);
  expectOneSentence(
    await clone.run(["serve"]),
    /^No such command: serve\. There are: start, inferq, test, check, bench, torture\.$/,
  );
  expectOneSentence(await clone.run([]), /^No such command: \(none\)\./);
  expect(clone.installs()).toBe(0);
});

test("npm leaves the pinned Node out: a new enough Node of the machine does, an older one is told what to install", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(directory.path);
  const ended = await clone.run(["inferq"], NPM_WITHOUT_NODE, "22.1.0");
  expectOneSentence(
    ended,
    /^The pinned Node .* does not run here: ENOENT\. Install Node 26 or newer from https:\/\/nodejs\.org and run the command again\.$/,
  );
  const ran = await clone.run(["inferq"], NPM_WITHOUT_NODE);
  expect(ran.stderr).toMatch(/ENOENT; using this machine's Node v\d+\.\d+\.\d+\.\n$/);
  expect(ran).toMatchObject({ code: 0, stdout: `${process.version}\n` });
});

test("the pinned Node is gone: it is installed again", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(directory.path);
  await clone.run(["inferq"]);
  rmSync(join(clone.path, NODE_FILE));
  expect(await clone.run(["inferq"])).toMatchObject({ code: 0, stdout: `${process.version}\n` });
  expect(clone.installs()).toBe(2);
});

test("npm fails: nothing is started, and the next command installs", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(directory.path);
  const ended = await clone.run(["start"], NPM_OFFLINE);
  expectOneSentence(ended, /^npm could not install the packages; it says above why\. Nothing was started\.$/);
  expect(ended.stderr).toContain("npm error network request failed");
  expect(await clone.run(["inferq"])).toMatchObject({ code: 0 });
});

test("an install that was killed is begun anew, without its half-written packages", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(directory.path);
  const child = clone.start(["inferq"], NPM_THAT_HANGS);
  const npm = await printed(child, /half written by (\d+)/);
  child.kill("SIGKILL");
  await once(child, "exit");
  process.kill(Number(npm), "SIGKILL");
  expect(await clone.run(["inferq"])).toMatchObject({ code: 0, stdout: `${process.version}\n` });
  expect(readdirSync(join(clone.path, "node_modules"))).not.toContain("half");
});

test("two commands at once in a fresh clone install once", async () => {
  using directory = temporaryDirectory();
  const clone = new Clone(directory.path);
  const ended = await Promise.all([clone.run(["inferq", "a"]), clone.run(["inferq", "b"])]);
  expect(ended.map(({ code, stdout }) => [code, stdout])).toEqual([
    [0, `${process.version} a\n`],
    [0, `${process.version} b\n`],
  ]);
  expect(clone.installs()).toBe(1);
  expect(readdirSync(clone.path)).not.toContain(".install.lock");
});

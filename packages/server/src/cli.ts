#!/usr/bin/env node
/** The command line: finds the command, and turns every fault of the operator's into one sentence and an exit code. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { COMMAND, say } from "./cli/say.ts";
import { UsageError } from "./cli/usage-error.ts";
import { StartError } from "./config/start-error.ts";

const HELP = `${COMMAND} <command>

  start                 serve the models of inferq.config.ts
    --port N            port to listen on (PORT; 8787)
    --host ADDRESS      address to listen on (HOST; 127.0.0.1)
  keys create           make an API key; it is shown once and kept as a hash
    --name NAME         public name of the key, in logs
    --owner OWNER       whose requests it sees; keys of one owner share them (default: the name)
    --scopes LIST       what it may do, of submit, read, admin (default: submit,read)
    --admin             the scope admin too: may read /metrics
    --models LIST       the models it may use (default: all)
    --expires WHEN      a time from now, such as 30d, or a date
    --requests-per-second N, --requests-in-flight N
                        limits of its own (default: those of the config)
  keys list             the keys, what they may do, and until when
    --json              for programs
  keys revoke NAME      end a key, at once and for good
  keys rotate NAME      make a new secret for a key; its owner and settings stay
    --overlap TIME      how long the one before works too, such as 24h (default: 0)
  dead-letters          the requests that used up their attempts; of a running server
    --model MODEL       those of one model
    --json              for programs
  dead-letters show ID  one of them: its attempts and its input
  dead-letters replay ID…
                        run them once more, as new requests
    --all               all that were not replayed yet; with --model, of one model

  --config FILE         config file (default: inferq.config.ts here)
  --data-dir DIR        data directory (INFERQ_DATA_DIR; .inferq beside the config file)
  --help, --version

Environment variables and all settings: docs/reference/configuration.md`;

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;
const WHERE = { config: TEXT, "data-dir": TEXT } as const;
/** The options that each command takes. */
const COMMANDS = {
  start: { ...WHERE, port: TEXT, host: TEXT },
  "keys create": {
    ...WHERE,
    name: TEXT,
    owner: TEXT,
    admin: FLAG,
    scopes: TEXT,
    models: TEXT,
    expires: TEXT,
    "requests-per-second": TEXT,
    "requests-in-flight": TEXT,
  },
  "keys list": { ...WHERE, json: FLAG },
  "keys revoke": WHERE,
  "keys rotate": { ...WHERE, overlap: TEXT },
  "dead-letters": { ...WHERE, model: TEXT, json: FLAG },
  "dead-letters show": WHERE,
  "dead-letters replay": { ...WHERE, model: TEXT, all: FLAG },
} as const;

try {
  await main(process.argv.slice(2));
} catch (error) {
  // What the operator cannot mend is a fault of ours: its stack helps whoever reads the report.
  const known = error instanceof UsageError || error instanceof StartError;
  say(known ? error.message : `inferq failed unexpectedly. ${String(error instanceof Error ? error.stack : error)}`);
  // A config's or a model's module may hold timers or connections, which would keep the process.
  process.exit(error instanceof UsageError ? 2 : 1);
}

async function main(args: readonly string[]): Promise<void> {
  if (args.length === 0 || args.includes("--help") || args.includes("-h")) return print(HELP);
  if (args.includes("--version") || args.includes("-v")) return print(version());
  const isOfTwo = args[0] === "keys" || (args[0] === "dead-letters" && args[1]?.startsWith("-") === false);
  const words = isOfTwo ? 2 : 1;
  const command = args.slice(0, words).join(" ");
  const rest = args.slice(words);
  // Each command loads what it needs: a key or a line of help needs no server.
  switch (command) {
    case "start":
      return (await import("./cli/start.ts")).start(options(command, rest));
    case "keys create":
      return (await import("./cli/keys.ts")).createKey(options(command, rest));
    case "keys list":
      return (await import("./cli/keys.ts")).listKeys(options(command, rest));
    case "keys revoke":
      return (await import("./cli/keys.ts")).revokeKey(...named(command, rest));
    case "keys rotate":
      return (await import("./cli/keys.ts")).rotateKey(...named(command, rest));
    case "dead-letters":
    case "dead-letters list":
      return (await import("./cli/dead-letters.ts")).listDeadLetters(options("dead-letters", rest));
    case "dead-letters show":
      return (await import("./cli/dead-letters.ts")).showDeadLetter(...named(command, rest));
    case "dead-letters replay": {
      const { values, positionals } = parsed(command, rest, true);
      return (await import("./cli/dead-letters.ts")).replayDeadLetters(values, positionals);
    }
    default:
      throw new UsageError(
        `Unknown command "${command}"; expected ${Object.keys(COMMANDS).join(", ")}. See ${COMMAND} --help.`,
      );
  }
}

function options<Command extends keyof typeof COMMANDS>(command: Command, args: readonly string[]): Values<Command> {
  return parsed(command, args, false).values;
}

/** The options of a command that takes one name, and the name. */
function named<Command extends keyof typeof COMMANDS>(
  command: Command,
  args: readonly string[],
): [options: Values<Command>, name: string] {
  const { values, positionals } = parsed(command, args, true);
  const [name] = positionals;
  if (name === undefined || positionals.length > 1) {
    throw new UsageError(`${command} takes one name, got ${positionals.length}. See ${COMMAND} --help.`);
  }
  return [values, name];
}

function parsed<Command extends keyof typeof COMMANDS>(
  command: Command,
  args: readonly string[],
  allowPositionals: boolean,
): { values: Values<Command>; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options: COMMANDS[command], strict: true, allowPositionals });
  } catch (error) {
    const [sentence] = (error as Error).message.split(". ");
    throw new UsageError(`${command}: ${sentence}. See ${COMMAND} --help.`, { cause: error });
  }
}

type Values<Command extends keyof typeof COMMANDS> = Options<(typeof COMMANDS)[Command]>;
type Options<Spec> = { [Name in keyof Spec]?: Spec[Name] extends { type: "boolean" } ? boolean : string };

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function version(): string {
  const manifest = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

/** `inferq start`: serves until it is told to stop, and tells a person how to use what it serves. */
import { type Flags, type ResolvedConfig, loadConfig } from "../config/load.ts";
import { type Server, startServer } from "../server.ts";
import type { KeyStore } from "../store/keys.ts";
import { addFirstKey } from "./keys.ts";
import { COMMAND, say } from "./say.ts";

/** Ctrl-C reaches this process from the terminal, from npm and from the bootstrap: within this time they are one signal. */
const SAME_SIGNAL_MS = 500;

/** Models that do not end when told to and a disk that does not answer may hold a stop up this long after its grace, s. */
const STOP_LIMIT_SECONDS = 20;

export async function start(flags: Flags): Promise<void> {
  const config = await loadConfig(flags);
  const starting = startServer(config);
  stopOnSignal(starting, config.stopGraceSeconds + STOP_LIMIT_SECONDS);
  const server = await starting;
  void server.hopeless.then(async (error) => {
    say(error.message);
    await server.stop();
    process.exit(1);
  });
  for (const line of welcome(config, server)) say(line);
}

/**
 * The first signal stops gracefully: running requests may end, the rest go back to the queue. The second
 * ends the process at once, as does the limit: the guard then ends the models, and the next start takes up what ran.
 */
function stopOnSignal(starting: Promise<Server>, limitSeconds: number): void {
  const stop = async (): Promise<void> => {
    setTimeout(() => {
      say(`The stop has not ended in ${limitSeconds} s; ended by force. What ran is tried again after the next start.`);
      process.exit(1);
    }, limitSeconds * 1000).unref();
    const server = await starting.catch(() => undefined);
    if (server === undefined) return; // whoever awaits the start tells why there is none, and ends the process
    await server.stop();
    process.exit(0);
  };
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      say(`${signal}: stopping; a second signal stops at once.`);
      stop().catch((error: unknown) => {
        say(`The stop failed. ${String(error)}`);
        process.exit(1);
      });
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
      process.exit(signal === "SIGINT" ? 130 : 143);
    }
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
}

function welcome(config: ResolvedConfig, server: Server): string[] {
  const key = keyForPeople(config, server.keys);
  return [
    "",
    `inferq serves ${server.address}   (API reference: ${server.address}/docs)`,
    "",
    "Models",
    ...server.models.entries.map(({ definition, aliases, state }) => {
      const also = aliases.map(({ name, standIn }) => `${name}${standIn === undefined ? "" : ", a stand-in"}`);
      const names = definition.name + (also.length === 0 ? "" : ` (also ${also.join("; ")})`);
      return `  ${names.padEnd(44)} ${definition.output.padEnd(6)} ${state.type}`;
    }),
    "",
    `Data     ${config.dataDir}`,
    `API key  ${key.told}`,
    "",
    "Try it",
    `  ${curlLine(server, key.usable)}`,
    ...webhookHint(config),
    "",
  ];
}

/** Who tries the server on one machine tries webhooks there too, and is told beforehand why none comes. */
function webhookHint({ host, allowPrivate }: ResolvedConfig): string[] {
  if (allowPrivate.includes("webhook") || !/^(localhost|127\..*|::1)$/.test(host)) return [];
  return ["", "Webhooks to this machine or a private network need INFERQ_ALLOW_PRIVATE=webhook."];
}

/** Makes the first key where there is none; `usable` is what to put into the example. */
function keyForPeople(config: ResolvedConfig, keys: KeyStore): { readonly told: string; readonly usable: string } {
  const placeholder = "YOUR_API_KEY";
  if (config.apiKeys.length > 0) return { told: "from INFERQ_API_KEYS", usable: placeholder };
  if (keys.list().length > 0) {
    return { told: `made earlier and kept as a hash; "${COMMAND} keys create" makes another`, usable: placeholder };
  }
  const key = addFirstKey(keys);
  return { told: `${key}   (shown this once; kept as a hash)`, usable: key };
}

/** A line to paste into a shell: a submit if a model is served that asks for little, else the list of models. */
function curlLine(server: Server, key: string): string {
  const examples = { "emoji-scene": { prompt: "a red rose on a wooden table" }, "mock-inference": {} };
  const [name, input] = Object.entries(examples).find(([model]) => server.models.find(model) !== undefined) ?? [];
  const auth = `-H "x-api-key: ${key}"`;
  if (name === undefined) return `curl ${auth} ${server.address}/v2/models`;
  return `curl ${auth} -H "Content-Type: application/json" -d '${JSON.stringify(input)}' ${server.address}/v2/${name}`;
}

/**
 * Resolves host names as this system does, hosts file and all, and lets no dead name server hold up other names.
 * The system's own look-up takes one of the process's few threads for as long as it lasts, so that some names
 * which nobody answers for would stop all others, and the files with them. DNS is asked over the network first,
 * which takes no thread. The system is asked for names that need no name server, and, one at a time, for those
 * that DNS does not know: it may know them by a search domain, and whoever runs a name server can let it wait.
 */
import { lookup as systemLookup } from "node:dns";
import type { LookupAddress } from "node:dns";
import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { callbackify } from "node:util";

/** Answers every address of a host name, as `dns.lookup` with `all` does. */
export type Lookup = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

export interface LookupSettings {
  /** A new one for each look-up: it knows the name servers that there were when it was made. */
  readonly resolver?: () => Pick<Resolver, "resolve4" | "resolve6">;
  readonly system?: Lookup;
  /** Names in it need no DNS. */
  readonly hostsFile?: string;
}

/** Of one question to one name server, for the first time; the second takes longer, and there is no third. */
const DNS_TIMEOUT_MS = 2_000;
/** DNS gave no answer, or could not say. */
const SILENT: ReadonlySet<unknown> = new Set(["ETIMEOUT", "ESERVFAIL", "ECANCELLED"]);
const WINDOWS_HOSTS = "C:\\Windows\\System32\\drivers\\etc\\hosts";

export function hostLookup({
  resolver = () => new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 }),
  system = (hostname, callback) => systemLookup(hostname, { all: true }, callback),
  hostsFile = process.platform === "win32" ? WINDOWS_HOSTS : "/etc/hosts",
}: LookupSettings = {}): Lookup {
  /** Look-ups of one name at one time are one. */
  const underWay = new Map<string, Promise<readonly LookupAddress[]>>();

  /** The last of the look-ups that wait for each other. */
  let last: Promise<unknown> = Promise.resolve();

  async function look(hostname: string): Promise<readonly LookupAddress[]> {
    if (isLocal(hostname) || (await isIn(hostsFile, hostname))) return ask(hostname);
    const dns = resolver();
    const answers = await Promise.allSettled([dns.resolve4(hostname), dns.resolve6(hostname)]);
    const found = answers.flatMap((answer, i) =>
      answer.status === "rejected" ? [] : answer.value.map((address) => ({ address, family: i === 0 ? 4 : 6 })),
    );
    if (found.length > 0) return found;
    if (answers.some(isSilent)) {
      throw Object.assign(new Error(`DNS does not answer for ${hostname}`), { code: "EAI_AGAIN" });
    }
    const asked = last.then(() => ask(hostname));
    last = asked.catch(() => undefined);
    return asked;
  }

  function ask(hostname: string): Promise<readonly LookupAddress[]> {
    return new Promise((resolve, reject) => {
      system(hostname, (error, found) => (error === null ? resolve(found) : reject(error)));
    });
  }

  return callbackify((hostname: string) => {
    const known = underWay.get(hostname);
    if (known !== undefined) return known;
    const found = look(hostname).finally(() => underWay.delete(hostname));
    underWay.set(hostname, found);
    return found;
  });
}

/** Needs no name server (RFC 6761 §6.3). */
function isLocal(hostname: string): boolean {
  return /^(?:.*\.)?localhost\.?$/i.test(hostname);
}

function isSilent(answer: PromiseSettledResult<string[]>): boolean {
  return answer.status === "rejected" && SILENT.has((answer.reason as NodeJS.ErrnoException).code);
}

async function isIn(hostsFile: string, hostname: string): Promise<boolean> {
  const text = await readFile(hostsFile, "utf8").catch(() => "");
  const name = hostname.toLowerCase();
  return text.split("\n").some((line) => line.replace(/#.*/, "").toLowerCase().split(/\s+/).slice(1).includes(name));
}

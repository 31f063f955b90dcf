/** Look-ups against a real name server of the test's own. */
import { createSocket } from "node:dgram";
import type { LookupAddress } from "node:dns";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hostLookup, type Lookup } from "../../src/net/lookup.ts";
import { scratchDirectory } from "../scratch.ts";

const A = 1;
const NO_SUCH_NAME = 3;
const FAILURE = 2;

type Reply = { readonly address?: string; readonly code?: number } | undefined;

/** Long enough for a busy machine; and for a name server that says nothing, which no machine is too busy for. */
const [PATIENT_MS, HASTY_MS] = [10_000, 50];

interface NameServer extends AsyncDisposable {
  readonly resolver: () => Resolver;
}

/** A name server that answers as `reply` says; undefined: not at all. */
async function nameServer(reply: (type: number) => Reply, timeout = PATIENT_MS): Promise<NameServer> {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const end = query.indexOf(0, 12); // of the name
    const said = reply(query.readUInt16BE(end + 1));
    if (said === undefined) return;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180 | (said.code ?? 0), 2); // an answer, with recursion (RFC 1035 §4.1.1)
    head.fill(0, 6);
    if (said.address === undefined) return socket.send([head, query.subarray(12, end + 5)], port, address);
    head.writeUInt16BE(1, 6);
    const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...said.address.split(".").map(Number)];
    socket.send([head, query.subarray(12, end + 5), Buffer.from(record)], port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  return {
    resolver() {
      const resolver = new Resolver({ timeout, tries: 1 });
      resolver.setServers([`127.0.0.1:${port}`]);
      return resolver;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((closed) => void socket.close(closed)),
  };
}

/** The system's look-up, and for what it was asked. */
function system(): { readonly asked: string[]; readonly lookup: Lookup } {
  const asked: string[] = [];
  return {
    asked,
    lookup: (hostname, callback) => {
      asked.push(hostname);
      setImmediate(() => callback(null, [{ address: "192.0.2.1", family: 4 }]));
    },
  };
}

function looked(lookup: Lookup, hostname: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(hostname, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
}

const SYSTEMS = [{ address: "192.0.2.1", family: 4 }];

test("what DNS has an address for, the system is not asked for: the name server could let that one wait", async () => {
  await using dns = await nameServer((type) => (type === A ? { address: "198.51.100.7" } : {}));
  const { asked, lookup } = system();
  expect(await looked(hostLookup({ resolver: dns.resolver, system: lookup }), "host.example")).toEqual([
    { address: "198.51.100.7", family: 4 },
  ]);
  expect(asked).toEqual([]);
});

test("what DNS does not know, the system is asked for, one at a time: search domains count as ever", async () => {
  await using dns = await nameServer(() => ({ code: NO_SUCH_NAME }));
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const firstAsked = Promise.withResolvers<void>();
  const resolve = hostLookup({
    resolver: dns.resolver,
    system: (hostname, callback) => {
      asked.push(hostname);
      if (hostname === "nas.example") answers.push(() => callback(new Error("not there"), []));
      else callback(null, SYSTEMS);
      firstAsked.resolve();
    },
  });
  const first = looked(resolve, "nas.example");
  await firstAsked.promise;
  const second = looked(resolve, "other.example");
  expect(await looked(resolve, "localhost")).toEqual(SYSTEMS);
  expect(asked).toEqual(["nas.example", "localhost"]);
  answers[0]!();
  await expect(first).rejects.toThrow("not there");
  expect(await second).toEqual(SYSTEMS);
  expect(asked).toEqual(["nas.example", "localhost", "other.example"]);
});

test.each([
  ["is silent", undefined],
  ["cannot say", { code: FAILURE }],
] satisfies [string, Reply][])("while DNS %s of a name, the system is not asked for it", async (_what, said) => {
  await using dns = await nameServer(() => said, HASTY_MS);
  const { asked, lookup } = system();
  const answer = looked(hostLookup({ resolver: dns.resolver, system: lookup }), "dead.example");
  await expect(answer).rejects.toMatchObject({ code: "EAI_AGAIN" });
  expect(asked).toEqual([]);
});

test("a name server that leaves one of the two questions open is believed the other", async () => {
  await using dns = await nameServer((type) => (type === A ? { address: "198.51.100.7" } : undefined), 1_000);
  const { asked, lookup } = system();
  expect(await looked(hostLookup({ resolver: dns.resolver, system: lookup }), "half.example")).toEqual([
    { address: "198.51.100.7", family: 4 },
  ]);
  expect(asked).toEqual([]);
});

test("names of the hosts file and of this machine need no DNS", async () => {
  await using scratch = await scratchDirectory();
  const hostsFile = join(scratch.path, "hosts");
  await writeFile(hostsFile, "192.0.2.9 other.lan\n192.0.2.1\tnas.lan NAS # here.lan\n");
  await using dns = await nameServer(() => undefined, HASTY_MS);
  const { asked, lookup } = system();
  const resolve = hostLookup({ resolver: dns.resolver, system: lookup, hostsFile });
  for (const name of ["nas.lan", "nas", "localhost"]) expect(await looked(resolve, name)).toEqual(SYSTEMS);
  await expect(looked(resolve, "here.lan")).rejects.toMatchObject({ code: "EAI_AGAIN" });
  expect(asked).toEqual(["nas.lan", "nas", "localhost"]);
});

test("look-ups of one name at one time are one, and the next is a new one", async () => {
  await using dns = await nameServer(() => ({ code: NO_SUCH_NAME }));
  const { asked, lookup } = system();
  const resolve = hostLookup({ resolver: dns.resolver, system: lookup });
  const all = await Promise.all(Array.from({ length: 64 }, () => looked(resolve, "host.example")));
  expect(new Set(all.map((found) => found[0]!.address))).toEqual(new Set(["192.0.2.1"]));
  expect(asked).toEqual(["host.example"]);
  await looked(resolve, "host.example");
  expect(asked).toHaveLength(2);
});

/**
 * Every private address in every spelling, by chance: as a URL, behind a redirect, and as what a name resolves to. The
 * networks stand here once more, from IANA's registries, so that guard and test do not share a mistake.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { isIPv4, type Socket } from "node:net";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { judgeAddress } from "../../src/net/address.ts";
import { guardedFetch, judgeUrl } from "../../src/net/guard.ts";
import type { Lookup } from "../../src/net/lookup.ts";
import { originThat } from "./origin.ts";

/** IANA IPv4 Special-Purpose Address Registry, multicast, and a cloud's control address: number and bits. */
const SPECIAL_4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["168.63.129.16", 32],
].map(([address, bits]) => ({ first: number4(String(address)), size: 2 ** (32 - Number(bits)) }));
/** Reach others than this network by design, and may be either. */
const BETWEEN_4 = ["192.31.196.0", "192.52.193.0", "192.88.99.0", "192.175.48.0"].map(number4);
/** IANA IPv6 Special-Purpose Address Registry; outside of 2000::/3 nothing is public at all. First bytes in hex. */
const SPECIAL_6 = [
  "20010db8",
  "20010002000",
  "3fff0",
  "fc",
  "fd",
  "fe8",
  "fe9",
  "fea",
  "feb",
  "fec",
  "ff",
  "5f00",
  "0100",
];

const special4 = fc
  .constantFrom(...SPECIAL_4)
  .chain(({ first, size }) => fc.integer({ min: 0, max: size - 1 }).map((host) => first + host));
const public4 = fc
  .integer({ min: 0x01000000, max: 0xdfffffff })
  .filter((address) => !SPECIAL_4.some(({ first, size }) => address >= first && address < first + size))
  .filter((address) => !BETWEEN_4.includes(address - (address % 256)));
const word = fc.integer({ min: 0, max: 0xffff });
const special6 = fc
  .tuple(fc.constantFrom(...SPECIAL_6, "0000000000000000000000000000"), hexOf(32))
  .map(([prefix, rest]) => (prefix + rest).slice(0, 32));
/** What registries give out (2400::/12, 2600::/12, 2a00::/12 …): global unicast without the special blocks. */
const public6 = fc
  .tuple(fc.constantFrom("24", "26", "28", "2a", "2c"), hexOf(30))
  .map((parts) => parts.join(""))
  .filter((hex) => !hex.startsWith("2620004f8000"));

/** IPv6 addresses that lead to an IPv4 one: mapped, NAT64, 6to4, Teredo. */
const embedding = (v4: fc.Arbitrary<number>): fc.Arbitrary<string> =>
  fc.tuple(v4, word, word, fc.integer({ min: 0, max: 3 })).map(([address, one, other, how]) => {
    const hex = hex4(address);
    const free = hex4(one * 0x10000 + other);
    if (how === 0) return `00000000000000000000ffff${hex}`;
    if (how === 1) return `0064ff9b0000000000000000${hex}`;
    if (how === 2) return `2002${hex}${free}${free}0000`;
    return `20010000${hex4(0x08080808)}0000${free.slice(0, 4)}${hex4(~address >>> 0)}`;
  });

it("no private address is reached by any spelling of it", () => {
  fc.assert(
    fc.property(
      fc.oneof(spelling4(special4), spelling6(fc.oneof(special6, embedding(special4)))),
      around(),
      (host, rest) => {
        const url = URL.parse(rest(host));
        if (url !== null) expect(judgeUrl(url, false), url.href).toBeTypeOf("string");
      },
    ),
    { numRuns: 2_000 },
  );
});

it("no public address is refused, however it is written", () => {
  fc.assert(
    fc.property(fc.oneof(spelling4(public4), spelling6(fc.oneof(public6, embedding(public4)))), (host) => {
      const url = new URL(`http://${host}:8080/a.png`);
      expect(judgeUrl(url, false), url.href).toBeUndefined();
      expect(judgeAddress(url.hostname.replace(/^\[|\]$/g, ""), "cdn.example", false), url.href).toBeUndefined();
    }),
    { numRuns: 2_000 },
  );
});

/** 127.0.0.1 plays the public internet below: whatever leads to itself is none of the private ones. */
const elsewhere4 = special4.filter((address) => address !== 0x7f000001);
const elsewhere = fc.oneof(spelling4(elsewhere4), spelling6(fc.oneof(special6, embedding(elsewhere4))));
const guarded = { allowPrivate: ["127.0.0.1"], timeoutMs: 60_000 };
const limits = { limitBytes: 1_000, signal: new AbortController().signal };

/** Every address that this process tried to connect to. */
let tried: string[];
const note = (message: unknown): void => {
  const { socket } = message as { readonly socket: Socket };
  socket.on("connectionAttempt", (address: string) => tried.push(address));
};
beforeEach(() => {
  tried = [];
  subscribe("net.client.socket", note);
});
afterEach(() => unsubscribe("net.client.socket", note));

it("a redirect leads to no private address", async () => {
  let location = "";
  await using origin = await originThat((_request, response) => response.writeHead(302, { location }).end());
  const fetch = guardedFetch(guarded);
  await fc.assert(
    fc.asyncProperty(elsewhere, around(), fc.boolean(), async (host, rest, isRelative) => {
      const target = rest(host);
      location = headerText(isRelative ? target.replace(/^https?:/, "") : target);
      await expect(fetch(origin.url, limits)).rejects.toMatchObject({ name: "FetchFailure" });
    }),
    { numRuns: 80 },
  );
  expect(new Set(tried)).toEqual(new Set(["127.0.0.1"]));
  expect(origin.hits()).toBeGreaterThanOrEqual(80);
});

it("a name that answers otherwise each time leads to no private address", async () => {
  await using origin = await originThat((request, response) => {
    if (request.url === "/end") response.end("public");
    else response.writeHead(307, { location: "/end" }).end();
  });
  const isPublic = fc.constant(["127.0.0.1"]);
  const resolved = fc.oneof(
    special4.filter((address) => address !== 0x7f000001).map(text4),
    fc.oneof(special6, embedding(elsewhere4)).chain(text6),
  );
  const mixed = fc.array(fc.oneof(resolved, fc.constant("127.0.0.1")), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(isPublic, mixed), { minLength: 2, maxLength: 2 }), async (answers) => {
      tried = [];
      let asked = 0;
      const lookup: Lookup = (_host, callback) => {
        const addresses = answers[Math.min(asked++, answers.length - 1)]!;
        callback(
          null,
          addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 })),
        );
      };
      const fetch = guardedFetch({ ...guarded, lookup });
      const isHarmless = answers.flat().every((address) => address === "127.0.0.1");
      const got = fetch(`http://rebinding.example:${origin.port}/start`, limits).then(async (body) =>
        (await body.toArray()).join(""),
      );
      if (isHarmless) expect(await got).toBe("public");
      else await expect(got).rejects.toMatchObject({ kind: "blocked" });
      expect(tried.filter((address) => address !== "127.0.0.1")).toEqual([]);
    }),
    { numRuns: 80 },
  );
});

/** The number in one to four parts, each decimal, octal or hexadecimal, in digits of any script that URLs take for ASCII. */
function spelling4(address: fc.Arbitrary<number>): fc.Arbitrary<string> {
  const part = fc.constantFrom(
    (value: number) => String(value),
    (value: number) => `0${value.toString(8)}`,
    (value: number) => `000${value.toString(8)}`,
    (value: number) => `0x${value.toString(16)}`,
    (value: number) => `0X00${value.toString(16).toUpperCase()}`,
  );
  const dot = fc.constantFrom(".", ".", ".", "。", "．", "｡", "%2e", "%E3%80%82");
  const digits = fc.constantFrom(
    (text: string) => text,
    (text: string) => text.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
    (text: string) => text.replace(/[1-9]/g, (digit) => String.fromCharCode(0x245f + Number(digit))),
    (text: string) => text.replace(/\d/g, (digit) => `%3${digit}`),
    (text: string) => `\u00ad${text}`,
  );
  return fc
    .tuple(address, fc.integer({ min: 1, max: 4 }), fc.tuple(part, part, part, part), dot, digits, fc.boolean())
    .map(([value, count, write, point, spelled, isDotted]) => {
      const values = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].slice(0, count - 1);
      values.push(value % 2 ** (8 * (5 - count)));
      return (
        spelled(values.map((one, index) => write[index]!(one)).join(".")).replaceAll(".", point) +
        (isDotted ? point : "")
      );
    });
}

/** In brackets, as `text6` writes it; a URL takes no zone. */
function spelling6(hex: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return hex.chain((one) => text6(one, false)).map((text) => `[${text}]`);
}

/** With or without zeros at the front of groups and `::`, its end as IPv4, in capitals, with a zone. */
function text6(hex: string, mayHaveZone = true): fc.Arbitrary<string> {
  return fc
    .tuple(...Array.from({ length: 5 }, () => fc.boolean()))
    .map(([isShort, isFolded, isMixed, isUpper, hasZone]) => {
      let groups = hex.match(/.{4}/g)!.map((group) => (isShort ? group.replace(/^0{1,3}/, "") : group));
      if (isMixed) groups = [...groups.slice(0, 6), text4(Number.parseInt(hex.slice(24), 16))];
      let text = groups.join(":");
      if (isFolded) text = text.replace(/(?:^|:)(?:0{1,4}(?::|$)){2,}/, "::");
      if (isUpper) text = text.toUpperCase();
      return text + (hasZone === true && mayHaveZone ? "%eth0" : "");
    });
}

/** A URL around a host. */
function around(): fc.Arbitrary<(host: string) => string> {
  return fc
    .tuple(
      fc.constantFrom("http://", "https://", "HTTP:\\\\", "http:/", "http:", "http:////", "\thttp://", "ht\ntp://"),
      fc.constantFrom("", "", "user@", "user:word@", "example.com@", "example.com%40@", "a:80@"),
      fc.constantFrom("", ":80", ":8080", ":", ":00443"),
      fc.constantFrom("/", "", "/a?b#c", "\\@example.com/", "#@example.com", "?@example.com", "/../../"),
    )
    .map(
      ([scheme, user, port, path]) =>
        (host) =>
          `${scheme}${user}${host}${port}${path}`,
    );
}

/** What a header can hold: other bytes than ASCII as clients write them there, in UTF-8. */
function headerText(text: string): string {
  return Buffer.from(text.replace(/[\t\n]/g, "")).toString("latin1");
}

function hexOf(length: number): fc.Arbitrary<string> {
  return fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
}

function number4(text: string): number {
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function text4(address: number): string {
  return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join(".");
}

function hex4(address: number): string {
  return address.toString(16).padStart(8, "0");
}

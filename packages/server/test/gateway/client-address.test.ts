import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { addressOf, networkOf, whoOf } from "../../src/gateway/client-address.ts";

/** A call from `peer` whose proxies wrote `forwarded`. */
function call(peer: string | undefined, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return { socket: { remoteAddress: peer }, headers } as IncomingMessage;
}

const PROXIES = ["10.0.0.0/8", "fd00::/8"];

test.each([
  ["nobody's word but the socket's counts without proxies", [], "203.0.113.7", "198.51.100.1", "203.0.113.7"],
  ["a stranger is no proxy", PROXIES, "203.0.113.7", "198.51.100.1", "203.0.113.7"],
  ["a proxy tells who called it", PROXIES, "10.0.0.1", "198.51.100.1", "198.51.100.1"],
  [
    "what the client made up stands further left",
    PROXIES,
    "10.0.0.1",
    "10.9.9.9, 1.1.1.1, 198.51.100.1",
    "198.51.100.1",
  ],
  ["proxies behind proxies", PROXIES, "10.0.0.1", "1.1.1.1, 198.51.100.1, fd00::2, 10.0.0.2", "198.51.100.1"],
  ["all are proxies: the farthest", PROXIES, "10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"],
  ["a proxy that does not tell", PROXIES, "10.0.0.1", undefined, "10.0.0.1"],
  ["a text that is no address", PROXIES, "10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"],
  ["IPv4 on a socket of both families", PROXIES, "::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"],
  ["IPv6", PROXIES, "fd00::1", "2001:db8::1", "2001:db8::1"],
  ["a port after it", PROXIES, "10.0.0.1", "198.51.100.1:4711", "198.51.100.1"],
  ["a port after IPv6", PROXIES, "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"],
  ["IPv6 in brackets", PROXIES, "10.0.0.1", "[2001:db8::1]", "2001:db8::1"],
  ["a socket that is gone", PROXIES, undefined, "198.51.100.1", ""],
])("%s", (_name, proxies, peer, forwarded, address) => {
  expect(addressOf(proxies)(call(peer, forwarded))).toBe(address);
});

test("a network is an IPv4 address or an IPv6 /64, however that is written", () => {
  expect(networkOf("198.51.100.1")).toBe("198.51.100.1");
  expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64");
  expect(networkOf("2001:0db8:0001:0002::1")).toBe("2001:db8:1:2::/64");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("2001:db8:1:2:3::")).toBe("2001:db8:1:2::/64");
});

test("who calls is remembered by a short text, whatever a client writes before it", () => {
  const who = whoOf(PROXIES);
  expect(who(call("10.0.0.1", "198.51.100.1"))).not.toBe(who(call("10.0.0.1", "198.51.100.2")));
  const filled = (made: string): string => who(call("10.0.0.1", `${made.padEnd(12_000, "x")}, 198.51.100.1`));
  expect(filled("a")).toBe("198.51.100.1");
  expect(filled("b")).toBe(filled("a"));
});

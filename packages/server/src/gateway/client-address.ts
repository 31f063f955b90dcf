/** Where a call comes from: the address that limits and audit lines go by. */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** The address of the client, IPv4 in its own form; that of the outermost proxy's peer where proxies are trusted. */
export type AddressOf = (call: Pick<IncomingMessage, "headers" | "socket">) => string;

/** Whether an address is one of the operator's own proxies. */
export type IsTrusted = (address: string | undefined) => boolean;

const MAPPED = /^::ffff:(?=\d+\.)/i;

/**
 * `X-Forwarded-For` counts only when the peer is in `trustedProxies`, and then from its end, where the nearest
 * proxy wrote: the first address that is no trusted proxy's. What stands before it the client may have made up.
 */
export function addressOf(trustedProxies: readonly string[]): AddressOf {
  const isTrusted = trusting(trustedProxies);
  return ({ headers, socket }) => {
    let address = plain(socket.remoteAddress ?? "");
    const forwarded = headers["x-forwarded-for"];
    if (forwarded === undefined || !isTrusted(address)) return address;
    for (const item of [forwarded].flat().join().split(",").toReversed()) {
      const before = plain(withoutPort(item.trim()));
      if (isIP(before) === 0) break; // "unknown", a made-up text: the last known is the nearest there is
      address = before;
      if (!isTrusted(address)) break;
    }
    return address;
  };
}

/** Longer texts of proxies are read: clients may have filled them up, and these are remembered. */
const MOST_UNREAD = 100;

/** What `addressOf` goes by, unread: the same text is the same address. */
export function whoOf(trustedProxies: readonly string[]): AddressOf {
  if (trustedProxies.length === 0) return ({ socket }) => socket.remoteAddress ?? "";
  const address = addressOf(trustedProxies);
  return (call) => {
    const forwarded = String(call.headers["x-forwarded-for"]);
    return forwarded.length > MOST_UNREAD ? address(call) : `${call.socket.remoteAddress} ${forwarded}`;
  };
}

/** Makes the test for `networks`: addresses or ranges such as `10.0.0.0/8`. */
export function trusting(networks: readonly string[]): IsTrusted {
  if (networks.length === 0) return () => false;
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    const bits = prefix === undefined ? (family === "ipv6" ? 128 : 32) : Number(prefix);
    list.addSubnet(address, bits, family);
  }
  return (address) => address !== undefined && list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** The network whose addresses one client can choose among: an IPv4 address alone, of IPv6 the /64 (RFC 4291 §2.5.4). */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? [] : tail.split(":");
    while (groups.length + after.length < 8) groups.push("0");
    groups.push(...after);
  }
  const prefix = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${prefix.join(":")}::/64`;
}

/** Some proxies write the port too: `198.51.100.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(item: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(item)?.[1] ?? /^(\d+(?:\.\d+){3}):\d+$/.exec(item)?.[1] ?? item;
}

/** A socket that takes both families names IPv4 addresses as IPv6 ones (RFC 4291 §2.5.5.2). */
function plain(address: string): string {
  return address.replace(MAPPED, "");
}

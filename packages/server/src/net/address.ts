/** Which addresses count as the public internet. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** `true`: every address may be reached. A list: these host names, addresses and CIDR ranges beside the public ones. */
export type AllowPrivate = boolean | readonly string[];

/** Why the host of a URL may not be reached, as far as its text tells (a literal address, `localhost`), or undefined. */
export function judgeHost(host: string, allowPrivate: AllowPrivate): string | undefined {
  if (isIP(host) !== 0) return judgeAddress(host, "", allowPrivate);
  if (!/^(?:.*\.)?localhost\.?$/i.test(host) || allowed(host, undefined, allowPrivate)) return undefined;
  return "it is this machine itself"; // RFC 6761 §6.3
}

/** Why `address`, which `host` resolved to ("" for a literal address), may not be reached, or undefined. */
export function judgeAddress(address: string, host: string, allowPrivate: AllowPrivate): string | undefined {
  const text = address.replace(/%.*$/, ""); // a zone id (RFC 4007 §11) names an interface, not another address
  if (!ipaddr.isValid(text)) return `${address === "" ? "its address" : address} is not an IP address`;
  const parsed = ipaddr.parse(text);
  const real = embedded(parsed) ?? parsed;
  if (allowed(host, [parsed, real], allowPrivate)) return undefined;
  const why = reason(real);
  if (why === undefined) return undefined;
  return `${host === "" ? text : `it resolves to ${text}, which`} is ${why}`;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Reaches other machines than its range tells: Azure's metadata and control address, public by its number. */
const AZURE_WIRE_SERVER = "168.63.129.16";

const NAMES: Readonly<Record<string, string>> = {
  loopback: "a loopback address",
  private: "a private address",
  uniqueLocal: "a private address",
  linkLocal: "a link-local address",
  carrierGradeNat: "a carrier's private address",
  unspecified: "the unspecified address",
  multicast: "a multicast address",
  broadcast: "the broadcast address",
};

function reason(address: Address): string | undefined {
  const range = address.range();
  if (range !== "unicast") return NAMES[range] ?? "a reserved address";
  if (address.toString() === AZURE_WIRE_SERVER) return "a cloud's control address";
  // Global unicast is 2000::/3 and nothing else (RFC 4291 §2.4, IANA's registry).
  if (address.kind() === "ipv6" && address.toByteArray()[0]! >> 5 !== 1) return "a reserved address";
  return undefined;
}

/** The IPv4 address that an IPv6 one leads to through a translator or tunnel, or undefined. */
function embedded(address: Address): Address | undefined {
  if (!(address instanceof ipaddr.IPv6)) return undefined;
  const bytes = address.toByteArray();
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const starts = (...prefix: readonly number[]): boolean => prefix.every((byte, index) => bytes[index] === byte);
  if (starts(0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0)) return v4(bytes.slice(12)); // NAT64, RFC 6052 §2.1
  if (starts(0x20, 0x02)) return v4(bytes.slice(2, 6)); // 6to4, RFC 3056 §2
  if (starts(0x20, 0x01, 0, 0)) return v4(bytes.slice(12).map((byte) => byte ^ 0xff)); // Teredo, RFC 4380 §4
  return undefined;
}

function v4(bytes: number[]): ipaddr.IPv4 {
  return new ipaddr.IPv4(bytes);
}

function allowed(host: string, addresses: readonly Address[] | undefined, allowPrivate: AllowPrivate): boolean {
  if (typeof allowPrivate === "boolean") return allowPrivate;
  return allowPrivate.some((entry) => {
    if (entry.includes("/")) {
      const [network, bits] = ipaddr.parseCIDR(entry);
      return (
        addresses?.some((address) => address.kind() === network.kind() && inRange(address, network, bits)) ?? false
      );
    }
    if (isIP(entry) !== 0)
      return addresses?.some((address) => address.toString() === ipaddr.parse(entry).toString()) ?? false;
    return host !== "" && entry.toLowerCase() === host.toLowerCase();
  });
}

function inRange(address: Address, network: Address, bits: number): boolean {
  return address.kind() === "ipv4"
    ? (address as ipaddr.IPv4).match(network, bits)
    : (address as ipaddr.IPv6).match(network, bits);
}

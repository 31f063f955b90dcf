import { describe, expect, it } from "vitest";
import { judgeAddress, judgeHost } from "../../src/net/address.ts";
import { judgeUrl } from "../../src/net/guard.ts";

describe("an address is reached when it is on the public internet", () => {
  it.each([
    "93.184.216.34",
    "1.1.1.1",
    "172.32.0.1",
    "2606:2800:220:1:248:1893:25c8:1946",
    "::ffff:93.184.216.34", // mapped
    "64:ff9b::5db8:d822", // NAT64 of 93.184.216.34
    "2002:5db8:d822::1", // 6to4 of the same
  ])("%s", (address) => expect(judgeAddress(address, "", false)).toBeUndefined());
});

describe("an address is refused, with its reason, when it is", () => {
  it.each([
    ["127.0.0.1", "a loopback address"],
    ["127.255.255.254", "a loopback address"],
    ["0.0.0.0", "the unspecified address"],
    ["10.0.0.1", "a private address"],
    ["172.16.0.1", "a private address"],
    ["192.168.1.1", "a private address"],
    ["169.254.169.254", "a link-local address"],
    ["100.100.100.200", "a carrier's private address"],
    ["192.0.0.192", "a reserved address"],
    ["198.18.0.1", "a reserved address"],
    ["203.0.113.7", "a reserved address"],
    ["224.0.0.1", "a multicast address"],
    ["240.0.0.1", "a reserved address"],
    ["255.255.255.255", "the broadcast address"],
    ["168.63.129.16", "a cloud's control address"],
    ["::", "the unspecified address"],
    ["::1", "a loopback address"],
    ["::7f00:1", "a reserved address"], // IPv4-compatible, deprecated
    ["fe80::1", "a link-local address"],
    ["fe80::1%eth0", "a link-local address"],
    ["fc00::1", "a private address"],
    ["fd00:ec2::254", "a private address"],
    ["fec0::1", "a reserved address"],
    ["ff02::1", "a multicast address"],
    ["2001:db8::1", "a reserved address"],
    ["64:ff9b:1::a00:1", "a reserved address"], // a network's own NAT64
    ["::ffff:127.0.0.1", "a loopback address"],
    ["::ffff:a9fe:a9fe", "a link-local address"],
    ["::ffff:0:127.0.0.1", "a reserved address"], // IPv4-translated
    ["64:ff9b::7f00:1", "a loopback address"],
    ["64:ff9b::a9fe:a9fe", "a link-local address"],
    ["2002:7f00:1::", "a loopback address"],
    ["2002:c0a8:101::1", "a private address"],
    ["2001:0:4136:e378:8000:63bf:80ff:fffe", "a loopback address"], // Teredo, 127.0.0.1 with its bits turned
    ["", "not an IP address"],
    ["localhost", "not an IP address"],
  ])("%s", (address, why) => expect(judgeAddress(address, "", false)).toContain(why));
});

describe("a URL is refused however its host is written", () => {
  it.each([
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0/",
    "http://127.0.0.1./",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[0:0:0:0:0:ffff:7f00:0001]/",
    "http://１２７.0.0.1/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost/",
    "http://user:word@example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
  ])("%s", (url) => expect(judgeUrl(new URL(url), false)).toBeTypeOf("string"));

  it("and passes when it is an ordinary one", () => {
    expect(judgeUrl(new URL("https://example.com:8443/a.png?b#c"), false)).toBeUndefined();
    expect(judgeHost("localhost.example.com", false)).toBeUndefined();
  });
});

describe("what the operator allows is reached", () => {
  it("all of it", () => {
    expect(judgeAddress("10.0.0.1", "nas", true)).toBeUndefined();
    expect(judgeHost("localhost", true)).toBeUndefined();
  });

  it("by host name, address or range, and nothing beside it", () => {
    const allow = ["nas.lan", "10.1.0.0/16", "192.168.1.7", "fd00:1::/32"];
    expect(judgeAddress("192.168.9.9", "NAS.lan", allow)).toBeUndefined();
    expect(judgeAddress("10.1.255.1", "", allow)).toBeUndefined();
    expect(judgeAddress("::ffff:10.1.2.3", "", allow)).toBeUndefined();
    expect(judgeAddress("192.168.1.7", "", allow)).toBeUndefined();
    expect(judgeAddress("fd00:1::5", "", allow)).toBeUndefined();
    expect(judgeAddress("10.2.0.1", "", allow)).toContain("private");
    expect(judgeAddress("192.168.1.8", "other.lan", allow)).toContain("it resolves to 192.168.1.8");
    expect(judgeAddress("fd00:2::5", "", allow)).toContain("private");
  });
});

import type { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { guardedFetch } from "../../src/net/guard.ts";
import type { Lookup } from "../../src/net/lookup.ts";
import { originThat } from "./origin.ts";

const limits = { limitBytes: 1_000_000, signal: new AbortController().signal };
const anywhere = guardedFetch({ allowPrivate: true, timeoutMs: 10_000 });
const onlyLoopback = guardedFetch({ allowPrivate: ["127.0.0.1"], timeoutMs: 10_000 });

describe("redirects", () => {
  it("are followed within the public internet, with neither cookies nor keys", async () => {
    const seen: string[] = [];
    await using origin = await originThat((request, response) => {
      seen.push(Object.keys(request.headers).sort().join(" "));
      if (request.url === "/end") response.end("arrived");
      else response.writeHead(302, { location: "end", "set-cookie": "a=b" }).end();
    });
    expect(await textOf(await anywhere(`${origin.url}/start`, limits))).toBe("arrived");
    expect(new Set(seen)).toEqual(new Set(["accept accept-encoding connection host user-agent"]));
  });

  it.each([
    ["http://10.0.0.1/", "10.0.0.1", "a private address"],
    ["http://169.254.169.254/latest/meta-data/", "169.254.169.254", "a link-local address"],
    ["http://[::ffff:10.0.0.1]/", "[::ffff:a00:1]", "a private address"],
    ["//2886729729/", "172.16.0.1", "a private address"],
    ["http://localhost/", "localhost", "this machine itself"],
    ["http://a:b@example.com/", "example.com", "user name"],
  ])("to %s are refused", async (location, host, why) => {
    await using origin = await originThat((_request, response) => response.writeHead(301, { location }).end());
    const failure = await onlyLoopback(origin.url, limits).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "blocked", host, message: expect.stringContaining(why) });
    expect(origin.hits()).toBe(1);
  });

  it("to what has no host name the host that sent there", async () => {
    await using origin = await originThat((_request, response) =>
      response.writeHead(301, { location: "file:///etc/passwd" }).end(),
    );
    const failure = await onlyLoopback(origin.url, limits).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "blocked", host: new URL(origin.url).host });
  });

  it("end after five", async () => {
    await using origin = await originThat((request, response) =>
      response.writeHead(307, { location: `${request.url}x` }).end(),
    );
    await expect(anywhere(origin.url, limits)).rejects.toMatchObject({
      kind: "unreachable",
      message: "it redirects more than 5 times",
    });
    expect(origin.hits()).toBe(6);
  });
});

describe("names", () => {
  it("that resolve to a private address are refused before anything connects", async () => {
    await using origin = await originThat((_request, response) => response.end("secret"));
    const fetch = guardedFetch({ allowPrivate: false, timeoutMs: 10_000, lookup: answers(["127.0.0.1"]) });
    await expect(fetch(`http://innocent.example:${origin.port}/`, limits)).rejects.toMatchObject({
      kind: "blocked",
      host: "innocent.example",
      message: "it resolves to 127.0.0.1, which is a loopback address",
    });
    expect(origin.hits()).toBe(0);
  });

  it("that resolve to an address that may be reached and one that may not are refused", async () => {
    await using origin = await originThat((_request, response) => response.end("half of it"));
    const lookup = answers(["127.0.0.1", "10.0.0.1"]);
    const fetch = guardedFetch({ allowPrivate: ["127.0.0.1"], timeoutMs: 10_000, lookup });
    await expect(fetch(`http://both.example:${origin.port}/`, limits)).rejects.toMatchObject({ kind: "blocked" });
    expect(origin.hits()).toBe(0);
  });

  it("that change their answer are judged by the new one, for no connection is kept", async () => {
    await using origin = await originThat((_request, response) => response.end("public"));
    const lookup = answers(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"]);
    const fetch = guardedFetch({ allowPrivate: ["127.0.0.1"], timeoutMs: 10_000, lookup });
    const url = `http://rebinding.example:${origin.port}/`;
    for (let time = 1; time <= 3; time += 1) expect(await textOf(await fetch(url, limits))).toBe("public");
    await expect(fetch(url, limits)).rejects.toMatchObject({ kind: "blocked" });
    expect(origin.hits()).toBe(3);
  });

  it("whose answer changes after it was judged are refused at the socket, before a request is sent", async () => {
    await using origin = await originThat((_request, response) => response.end("secret"));
    let reads = 0;
    const lookup: Lookup = (_host, callback) => {
      const shifty = {
        family: 4,
        get address() {
          reads += 1;
          return reads === 1 ? "192.0.2.1" : "127.0.0.1";
        },
      };
      callback(null, [shifty]);
    };
    const fetch = guardedFetch({ allowPrivate: ["192.0.2.1"], timeoutMs: 10_000, lookup });
    await expect(fetch(`http://shifty.example:${origin.port}/`, limits)).rejects.toMatchObject({
      kind: "blocked",
      message: "it resolves to 127.0.0.1, which is a loopback address",
    });
    expect(origin.hits()).toBe(0);
  });

  it("that do not resolve are told as such", async () => {
    const fetch = guardedFetch({
      allowPrivate: false,
      timeoutMs: 10_000,
      lookup: (_host, callback) => callback(Object.assign(new Error("none"), { code: "ENOTFOUND" }), []),
    });
    await expect(fetch("http://nowhere.example/", limits)).rejects.toMatchObject({
      kind: "unreachable",
      message: "its host name has no address",
    });
  });
});

it("a proxy in the environment is not used", async () => {
  await using origin = await originThat((_request, response) => response.end("direct"));
  const before = process.env["http_proxy"];
  process.env["http_proxy"] = "http://127.0.0.1:1";
  try {
    const fetch = guardedFetch({ allowPrivate: true, timeoutMs: 10_000 });
    expect(await textOf(await fetch(origin.url, limits))).toBe("direct");
  } finally {
    if (before === undefined) delete process.env["http_proxy"];
    else process.env["http_proxy"] = before;
  }
});

/** Resolves every name to the first answer the first time, to the second one the next, and so on. */
function answers(...each: string[][]): Lookup {
  let asked = 0;
  return (_host, callback) => {
    const addresses = each[Math.min(asked, each.length - 1)]!;
    asked += 1;
    callback(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    );
  };
}

async function textOf(body: Readable): Promise<string> {
  return Buffer.concat(await body.toArray()).toString();
}

/** docs/guide/production.md: its config and a proxy as it configures it, over a certificate of our own, before a real server. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, type RequestOptions, request as plainRequest } from "node:http";
import { request } from "node:https";
import { createServer, connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import { json, text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, missing } from "./pages.ts";
import { KEY, type RealServer, realServer } from "./real-server.ts";

export const PAGE = "docs/guide/production.md";
const HOST = "api.example.com";
const BASE = `https://${HOST}`;
const SPACES = Buffer.alloc(2 ** 16, " ");

/** Where a proxy has its things, and where it stands. */
export interface Place {
  readonly directory: string;
  readonly certificate: string;
  readonly certificateKey: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Address and port of the server, as the page's 127.0.0.1:8787. */
  readonly server: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, any>; // oxlint-disable-line typescript/no-explicit-any -- a body of the wire
}

/** Tries what clients do through `program`; `start` writes the page's configuration for it and answers its arguments. */
export function behindAProxy(program: string, start: (place: Place) => readonly string[]): void {
  const directory = temporaryDirectory();
  let server: RealServer;
  let place: Place;
  let proxy: ChildProcess | undefined;
  // Linux alone has all of 127.0.0.0/8 on its loopback, and /proc.
  const reason = process.platform === "linux" ? missing(program, "openssl") : "not Linux";

  beforeAll(async () => {
    if (reason !== undefined) return;
    symlinkSync(join(ROOT, "node_modules"), join(directory.path, "node_modules"), "junction");
    const config = join(directory.path, "inferq.config.ts");
    writeFileSync(config, withoutMetrics(blockWith(PAGE, "defineConfig", "ts")));
    server = await realServer({ config });
    await server.ready();
    const [httpPort, httpsPort] = await freePorts(2);
    place = {
      directory: directory.path,
      ...ownCertificate(directory.path),
      httpPort: httpPort!,
      httpsPort: httpsPort!,
      server: server.base.slice("http://".length),
    };
    const env = {
      ...process.env,
      HOME: directory.path,
      XDG_DATA_HOME: directory.path,
      XDG_CONFIG_HOME: directory.path,
    };
    proxy = spawn(program, start(place), { env, stdio: ["ignore", "pipe", "pipe"] });
    const printed = Promise.all([text(proxy.stdout!), text(proxy.stderr!)]);
    const ended = once(proxy, "exit").then(async () => (await printed).join(""));
    await listening(httpsPort!, ended);
  });

  afterAll(async () => {
    if (proxy !== undefined && proxy.exitCode === null) {
      const ended = once(proxy, "exit");
      proxy.kill("SIGTERM");
      await ended;
    }
    await server?.[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  /** A call as a client of the page's host makes it; `write` sends the body. */
  const call = async (
    path: string,
    options: RequestOptions = {},
    write: (to: ClientRequest) => void = (to) => to.end(),
  ): Promise<IncomingMessage> => {
    const sent = request({
      host: "127.0.0.1",
      port: place.httpsPort,
      servername: HOST,
      ca: readFileSync(place.certificate),
      path,
      ...options,
      headers: { host: HOST, "x-api-key": KEY, ...(options.headers as Record<string, string>) },
    });
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    sent.on("error", () => {}); // what is still being written when a refusal has come
    write(sent);
    return (await answered)[0];
  };
  const ask = async (...args: Parameters<typeof call>): Promise<Answer> => {
    const answer = await call(...args);
    return { status: answer.statusCode!, headers: answer.headers, body: (await json(answer)) as Answer["body"] };
  };
  const post = (path: string, body: string): Promise<Answer> =>
    ask(path, { method: "POST", headers: { "content-type": "application/json" } }, (to) => to.end(body));
  const pathOf = (url: string): string => {
    expect(url.startsWith(`${BASE}/`)).toBe(true);
    return url.slice(BASE.length);
  };

  /** As `test`, where the machine has the proxy. */
  const through = (what: string, body: () => Promise<void>): void => {
    test(what, async ({ skip }) => {
      skip(reason !== undefined, reason);
      await body();
    });
  };

  through("a submit answers URLs that go the same way, and the result comes when it is there", async () => {
    const submitted = await post("/v2/mock-inference", '{"sleep":0.3,"kind":"image"}');
    expect(submitted.status).toBe(200);
    const polled = await ask(pathOf(submitted.body["status_url"] as string));
    expect(["QUEUED", "PROCESSING"]).toContain(polled.body["status"]);
    const result = await ask(`${pathOf(submitted.body["response_url"] as string)}?wait=60`);
    expect(result.body["status"]).toBe("COMPLETED");
    const file = await call(pathOf([result.body["output"]].flat()[0] as string));
    expect(file.headers["content-type"]).toMatch(/^image\//);
    file.destroy();
  });

  through("an upload of 40 MB arrives whole, and comes back whole", async () => {
    const bytes = Buffer.alloc(40 * 2 ** 20, "inferq");
    const uploaded = await post(
      "/upload-asset",
      JSON.stringify({ data_urls: [`data:text/plain;base64,${bytes.toString("base64")}`] }),
    );
    expect(uploaded.status).toBe(200);
    const file = await call(pathOf((uploaded.body["urls"] as string[])[0]!));
    expect(Buffer.concat((await file.toArray()) as Buffer[]).equals(bytes)).toBe(true);
  });

  through("what is refused is refused by inferq, and long before the body is sent", async () => {
    const declared = async (bytes: number, headers = {}): Promise<unknown[]> => {
      const sent = { "content-type": "application/json", "content-length": String(bytes), ...headers };
      let goesOn = true;
      let written = 0;
      let request: ClientRequest | undefined;
      const { status, headers: answered } = await ask("/v2/mock-inference", { method: "POST", headers: sent }, (to) => {
        request = to;
        to.once("response", () => (goesOn = false));
        const send = (): void => {
          if (!goesOn) return;
          written += SPACES.length;
          if (to.write(SPACES)) setImmediate(send);
          else to.once("drain", send);
        };
        to.write('{"prompt":');
        send();
      });
      request?.destroy();
      expect(written).toBeLessThan(bytes / 2);
      return [status, answered["x-error-code"]];
    };
    expect(await declared(2 ** 30)).toEqual([413, "body_too_large"]);
    expect(await declared(60 * 2 ** 20, { "x-api-key": "sg_nobodys" })).toEqual([401, "invalid_key"]);
  });

  through("an event stream tells what happens when it happens", async () => {
    const { body } = await post("/v2/mock-inference", '{"sleep":600,"kind":"text"}');
    const id = body["request_id"] as string;
    const stream = await call(`/v2/requests/${id}/events`);
    expect(stream.headers["content-type"]).toMatch(/^text\/event-stream/);
    let told = "";
    for await (const chunk of stream) {
      const before = told;
      told += String(chunk);
      // The stream is still open: it was not gathered until its end.
      const runs = '"status":"PROCESSING"';
      if (told.includes(runs) && !before.includes(runs)) await post(`/v2/requests/${id}/cancel`, "");
    }
    expect(told).toContain('"error_code":"cancelled"');
  });

  through("the client's address counts, whatever it says of itself", async () => {
    const headers = { "x-api-key": "sg_nobodys", "x-forwarded-for": "203.0.113.7" };
    expect((await ask("/v2/requests", { localAddress: "127.0.0.2", headers })).status).toBe(401);
    await server.said(/"audit":"key_refused".*"address":"127\.0\.0\.2"/);
    expect(server.output()).not.toContain("203.0.113.7");
  });

  through("connections to the server are used again", async () => {
    for (let left = 40; left > 0; left--) expect((await ask("/v2/requests")).status).toBe(200);
    // One that was closed stands here for a minute, on the side that closed it.
    const port = Number(place.server.split(":")[1]).toString(16).toUpperCase().padStart(4, "0");
    const sockets = readFileSync("/proc/net/tcp", "utf8").split("\n");
    const towards = sockets.filter((line) => new RegExp(`^ *\\d+: \\w+:\\w+ \\w+:${port} `).test(line));
    expect(towards.length).toBeLessThan(30);
  });

  through("plain HTTP leads to HTTPS", async () => {
    const sent = plainRequest({
      host: "127.0.0.1",
      port: place.httpPort,
      path: "/v2/requests?limit=1",
      headers: { host: HOST },
    });
    const [answer] = (await once(sent.end(), "response")) as [IncomingMessage];
    answer.resume();
    expect([answer.statusCode, answer.headers.location]).toEqual([308, `${BASE}/v2/requests?limit=1`]);
  });
}

/** Its port may be taken, by another test of this page. */
function withoutMetrics(config: string): string {
  return config.replace(/\n *metricsPort: \d+,/, "");
}

function ownCertificate(directory: string): Pick<Place, "certificate" | "certificateKey"> {
  const [certificate, certificateKey] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  args.push(
    "-subj",
    `/CN=${HOST}`,
    "-addext",
    `subjectAltName=DNS:${HOST}`,
    "-out",
    certificate,
    "-keyout",
    certificateKey,
  );
  execFileSync("openssl", args, { stdio: "ignore" });
  return { certificate, certificateKey };
}

/** Ports that nobody has: neither program can take one of its own choice and tell which. */
async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(held.map((one) => once(one, "listening")));
  const ports = held.map((one) => (one.address() as AddressInfo).port);
  await Promise.all(held.map((one) => new Promise((closed) => one.close(closed))));
  return ports;
}

/** Resolves when something listens on `port`; rejects with what it printed when the program has `ended`. */
async function listening(port: number, ended: Promise<string>): Promise<void> {
  let over: string | undefined;
  void ended.then((printed) => (over = printed));
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const up = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (up) return;
    if (over !== undefined) throw new Error(`The proxy has ended:\n${over}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

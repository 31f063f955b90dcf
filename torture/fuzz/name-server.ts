/** A DNS server on this machine that leads every name to somewhere private (RFC 1035), and a canary that nobody may reach. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import ipaddr from "ipaddr.js";

const A = 1;
const AAAA = 28;

/** Where each name of corpus/urls.ts leads: IPv4, then IPv6. */
const ADDRESSES: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  loopback: [["127.0.0.1"], []],
  loopback6: [[], ["::1"]],
  mapped: [[], ["::ffff:127.0.0.1"]],
  private: [["10.0.0.1", "192.168.1.1"], ["fd00::1"]],
  metadata: [["169.254.169.254"], ["fd00:ec2::254"]],
  unspecified: [["0.0.0.0"], ["::"]],
  nat64: [[], ["64:ff9b::7f00:1"]],
  tunnel: [[], ["2002:7f00:1::"]],
  both: [["192.0.2.1", "127.0.0.1"], ["2001:db8::1"]],
};

export interface NameServer extends AsyncDisposable {
  readonly address: string;
}

export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket("udp4");
  let asked = 0;
  socket.on("message", (question, from) => {
    asked += 1;
    const answer = answerTo(question, asked);
    if (answer !== undefined) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

function answerTo(question: Buffer, asked: number): Buffer | undefined {
  const labels: string[] = [];
  let at = 12;
  for (let length = question[at]; length !== undefined && length > 0; length = question[at]) {
    labels.push(question.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = question.readUInt16BE(at + 1);
  const [v4, v6] = ADDRESSES[(labels[0] ?? "").toLowerCase()] ?? [[asked % 2 === 0 ? "127.0.0.1" : "127.0.0.2"], []];
  const addresses = type === A ? v4 : type === AAAA ? v6 : [];
  const head = Buffer.from(question.subarray(0, at + 5));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  const records = addresses.map((address) => {
    const bytes = Buffer.from(ipaddr.parse(address).toByteArray());
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(0, 6);
    record.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([head, ...records]);
}

export interface Canary extends AsyncDisposable {
  readonly port: number;
  /** Connections that it took: one is one too many. */
  readonly taken: () => number;
}

/** Listens on every address of this machine. */
export async function startCanary(): Promise<Canary> {
  let taken = 0;
  const server = createServer((socket) => {
    taken += 1;
    socket.destroy();
  });
  server.listen(0);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    taken: () => taken,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** A DNS server on this machine that leads every name to somewhere private (RFC 1035), and a canary that nobody may reach. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

const A = 1;
const AAAA = 28;

/** Where each name of corpus/urls.ts leads: IPv4, then IPv6, as their bytes in hex. */
const ADDRESSES: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  loopback: [["7f000001"], []],
  loopback6: [[], ["00000000000000000000000000000001"]],
  mapped: [[], ["00000000000000000000ffff7f000001"]],
  private: [["0a000001", "c0a80101"], ["fd000000000000000000000000000001"]],
  metadata: [["a9fea9fe"], ["fd000ec2000000000000000000000254"]],
  unspecified: [["00000000"], ["00000000000000000000000000000000"]],
  nat64: [[], ["0064ff9b00000000000000007f000001"]],
  tunnel: [[], ["20027f00000100000000000000000000"]],
  both: [["c0000201", "7f000001"], ["20010db8000000000000000000000001"]],
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
  const [v4, v6] = ADDRESSES[(labels[0] ?? "").toLowerCase()] ?? [[asked % 2 === 0 ? "7f000001" : "7f000002"], []];
  const addresses = type === A ? v4 : type === AAAA ? v6 : [];
  const head = Buffer.from(question.subarray(0, at + 5));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  const records = addresses.map((address) => {
    const bytes = Buffer.from(address, "hex");
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

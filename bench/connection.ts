/**
 * One keep-alive HTTP/1.1 connection over a raw socket. It asks one thing at a time and understands
 * just what the servers measured here send: answers with a Content-Length. `node:http` as a client
 * costs more than the server it measures.
 */
import net from "node:net";

export interface Answer {
  readonly status: number;
  /** Status line and headers, without the empty line. */
  readonly head: string;
  readonly body: string;
}

const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
const CONNECT_MS = 5_000;

/** Filled by one socket's read and emptied before the next: all connections of a process share it. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

export class Connection {
  readonly #socket: net.Socket;
  #received = "";
  #waiter: PromiseWithResolvers<Answer> | undefined;
  #broken: Error | undefined;

  private constructor(port: number) {
    const callback = (bytes: number): boolean => {
      this.#take(readBuffer.toString("latin1", 0, bytes));
      return true;
    };
    this.#socket = net.connect({ host: "127.0.0.1", port, noDelay: true, onread: { buffer: readBuffer, callback } });
    this.#socket.on("error", (error) => this.#break(error));
    this.#socket.on("close", () => this.#break(new Error(`The server on port ${port} closed the connection.`)));
  }

  static async open(port: number): Promise<Connection> {
    const connection = new Connection(port);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`Port ${port} took no connection in ${CONNECT_MS} ms.`)),
      CONNECT_MS,
    );
    connection.#socket.once("connect", resolve).once("error", reject);
    try {
      await promise;
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends `request` (from `httpRequest`) and resolves with its answer. Rejects when the connection breaks. */
  ask(request: Buffer): Promise<Answer> {
    if (this.#broken) return Promise.reject(this.#broken);
    this.#waiter = Promise.withResolvers();
    this.#socket.write(request);
    return this.#waiter.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received = this.#received === "" ? text : this.#received + text;
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd);
    const length = CONTENT_LENGTH.exec(head)?.[1];
    if (length === undefined) return this.#break(new Error(`An answer without Content-Length:\n${head}`));
    const end = headEnd + 4 + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.slice(headEnd + 4, end);
    this.#received = this.#received.slice(end);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (!waiter) return this.#break(new Error(`An answer that nobody asked for:\n${head}`));
    waiter.resolve({ status: Number(head.slice(9, 12)), head, body });
  }

  #break(error: Error): void {
    this.#broken ??= error;
    this.#waiter?.reject(this.#broken);
    this.#waiter = undefined;
    this.#socket.destroy();
  }
}

/** The bytes of one request. With a body it is a POST of JSON, without one a GET. */
export function httpRequest(path: string, headers: Readonly<Record<string, string>>, body?: string): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  if (body === undefined) return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join("")}\r\n`);
  const length = Buffer.byteLength(body);
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join("")}` +
      `Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`,
  );
}

/** Stands in for `node:worker_threads`: a thread is a process of the machine, and a message takes a while, in its turn. */
import { EventEmitter } from "node:events";
import type { FromWriter, ToWriter } from "../../../packages/server/src/store/sqlite/messages.ts";
import { writeBatches } from "../../../packages/server/src/store/sqlite/write-batches.ts";
import { machine, Process } from "../machine.ts";

const START_MS = 5;
const MESSAGE_MS = 0.05;

/** The one thread that there is: the store's writer. */
export class Worker extends EventEmitter {
  readonly #owner = machine().current;
  readonly #thread = new Process("writer", machine().current.host ?? machine().current);
  readonly #toThread = channel(this.#thread);
  readonly #toOwner = channel(this.#owner);
  #onMessage: ((message: ToWriter) => void) | undefined;

  constructor(_file: URL, { workerData }: { readonly workerData: string }) {
    super();
    const port = {
      on: (_event: "message", listener: (message: ToWriter) => void) => (this.#onMessage = listener),
      postMessage: (message: FromWriter) => this.#toOwner(MESSAGE_MS, () => this.emit("message", message)),
      close: () => this.#end(),
    };
    this.#toThread(START_MS, () => this.#run(() => writeBatches(port, workerData)));
  }

  postMessage(message: ToWriter): void {
    this.#toThread(MESSAGE_MS, () => this.#run(() => this.#onMessage?.(message)));
  }

  /** What the thread throws ends it. */
  #run(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#toOwner(MESSAGE_MS, () => this.emit("error", error));
      this.#end();
    }
  }

  #end(): void {
    if (!this.#thread.isAlive) return;
    this.#toOwner(MESSAGE_MS, () => this.emit("exit", 0));
    this.#thread.isAlive = false;
  }
}

/** What is sent through it arrives in the order in which it was sent. */
function channel(to: Process): (ms: number, arrived: () => void) => void {
  const underWay: (() => void)[] = [];
  return (ms, arrived) => {
    underWay.push(arrived);
    const { random } = machine();
    machine().send(to, ms * (0.5 + random.next()), () => underWay.shift()!());
  };
}

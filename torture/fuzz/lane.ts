/** One keep-alive connection with several cases under way, answered in order; a new one when the server rightly closes it. */
import { connect, type Socket } from "node:net";
import { type Answer, NotHttp, readAnswer } from "./answers.ts";
import type { Case } from "./case.ts";

/** Cases under way at once. */
const DEPTH = 8;

export interface Told {
  /** The next case, or undefined when there are no more. */
  readonly next: () => Case | undefined;
  readonly answered: (sent: Case, answer: Answer) => void;
  readonly fault: (sent: Case, why: string) => void;
}

/** Sends what `next` gives until there is no more and all is answered. */
export async function runLane(port: number, told: Told): Promise<void> {
  const noted = { isOver: false, answered: told.answered, fault: told.fault, next: told.next };
  noted.next = () => {
    const one = told.next();
    noted.isOver ||= one === undefined;
    return one;
  };
  let again: readonly Case[] = [];
  let stuck = 0;
  do {
    const before = again[0];
    again = await onConnection(port, again, noted);
    stuck = again.length > 0 && again[0] === before ? stuck + 1 : 0;
    if (stuck === 3) {
      told.fault(again[0]!, "the connection is closed each time before it is answered");
      again = again.slice(1);
    }
  } while (again.length > 0 || !noted.isOver);
}

/** The cases that were left unanswered when the connection was rightly closed. */
function onConnection(port: number, first: readonly Case[], told: Told): Promise<readonly Case[]> {
  const { promise, resolve } = Promise.withResolvers<readonly Case[]>();
  const waiting: Case[] = [];
  let given = [...first];
  let received = "";
  let isClosing = false;
  // What was left over may be what ends the connection: it goes alone, lest its answer be lost in a reset (RFC 9112 §9.6).
  let depth = first.length > 0 ? 1 : DEPTH;

  const refill = (): void => {
    if (isClosing) return;
    const batch: Buffer[] = [];
    while (waiting.length < depth) {
      const one = given.shift() ?? told.next();
      if (one === undefined) break;
      waiting.push(one);
      batch.push(one.bytes);
    }
    if (batch.length > 0) socket.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch));
    else if (waiting.length === 0) socket.end();
  };
  const read = (ended: boolean): void => {
    while (waiting.length > 0 && received !== "") {
      const found = readAnswer(received, waiting[0]!.method, ended);
      if (found === undefined) return;
      received = received.slice(found.length);
      if (found.answer.status < 200) continue; // 100 Continue
      told.answered(waiting.shift()!, found.answer);
      if (found.answer.closes) isClosing = true;
      depth = DEPTH;
    }
    if (received !== "") throw new NotHttp(`bytes that nobody asked for: ${JSON.stringify(received.slice(0, 200))}`);
  };
  const guarded = (ended: boolean): void => {
    try {
      read(ended);
    } catch (error) {
      if (!(error instanceof NotHttp)) throw error;
      told.fault(waiting.shift() ?? first[0]!, error.message);
      isClosing = true;
      received = "";
      socket.destroy();
    }
  };

  const socket: Socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.setEncoding("latin1");
  socket.on("connect", refill);
  socket.on("data", (text: string) => {
    received = received === "" ? text : received + text;
    guarded(false);
    refill();
  });
  let wasReset = false;
  socket.on("error", () => {
    wasReset = true;
    socket.destroy();
  });
  socket.on("close", () => {
    if (wasReset) received = "";
    guarded(true);
    if (waiting.length > 0 && !isClosing && !wasReset) {
      told.fault(waiting.shift()!, "the connection was closed without an answer");
    }
    resolve([...waiting, ...given]);
    given = [];
  });
  return promise;
}

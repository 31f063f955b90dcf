/**
 * Clients that wait: a process that asks for each path it is told on a connection of its own, says so when
 * all have asked, and when all have been answered. It ends when its parent does.
 */
import { Connection, httpRequest } from "./connection.ts";

export interface WaitersOrder {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly paths: readonly string[];
}

/** One answer, with the time at which it was read, ms since the epoch. */
export interface Waited {
  readonly status: number;
  readonly body: string;
  readonly at: number;
}

export type WaitersReport = { readonly asked: true } | { readonly answers: Waited[] } | { readonly error: string };

/** Connections opened at once: fewer than a server lets wait to be taken. */
const OPENED_AT_ONCE = 200;

async function ask({ port, headers, paths }: WaitersOrder): Promise<Waited[]> {
  const answers: Promise<Waited>[] = [];
  while (answers.length < paths.length) {
    const some = paths.slice(answers.length, answers.length + OPENED_AT_ONCE);
    const connections = await Promise.all(some.map(() => Connection.open(port)));
    for (const [i, path] of some.entries()) {
      const answer = connections[i]!.ask(httpRequest(path, headers));
      answers.push(
        answer.then(({ status, body }) => ({ status, body, at: performance.timeOrigin + performance.now() })),
      );
    }
  }
  process.send!({ asked: true } satisfies WaitersReport);
  return await Promise.all(answers);
}

process.on("disconnect", () => process.exit(1));
process.once("message", (order: WaitersOrder) => {
  ask(order).then(
    (answers) => process.send!({ answers } satisfies WaitersReport, () => process.exit(0)),
    (error: unknown) => process.send!({ error: String(error) } satisfies WaitersReport, () => process.exit(1)),
  );
});

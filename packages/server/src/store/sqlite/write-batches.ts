import type { DatabaseSync } from "node:sqlite";
import { applier } from "./apply.ts";
import { DeliveryRows } from "./delivery-rows.ts";
import { openingFault } from "./faults.ts";
import type { Answer, FromWriter, Operation, ToWriter } from "./messages.ts";
import { openForWriting } from "./schema.ts";

/** The writer's end of the channel to its store. */
export interface WriterPort {
  on(event: "message", listener: (message: ToWriter) => void): unknown;
  postMessage(message: FromWriter): void;
  /** No message comes any more: the thread ends. */
  close(): void;
}

/**
 * What the writer thread does: the only one that writes the file at `path`. Each batch is one transaction, so one
 * fsync makes all of it durable. It never tries a failed COMMIT again: it says so, and ends when told to.
 */
export function writeBatches(port: WriterPort, path: string): void {
  try {
    serve(port, path);
  } catch (error) {
    port.postMessage({ type: "refused", error: openingFault(path, error) });
    port.close();
  }
}

function serve(port: WriterPort, path: string): void {
  const db = openForWriting(path);
  const { value } = db.prepare("SELECT value FROM meta WHERE name = 'clean_stop'").get() as { value: number };
  db.exec("UPDATE meta SET value = 0 WHERE name = 'clean_stop'");
  const deliveries = new DeliveryRows(db);
  const commit = committer(db, deliveries);
  port.on("message", (message: ToWriter) => {
    if (message.type === "batch") port.postMessage(commit(message.operations));
    else close(port, db, message.clean);
  });
  port.postMessage({ type: "opened", unclean: value === 0, deliveries: deliveries.takeNews() });
}

function committer(db: DatabaseSync, deliveries: DeliveryRows): (operations: readonly Operation[]) => FromWriter {
  const apply = applier(db, deliveries);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const end = db.prepare("COMMIT");
  return (operations) => {
    const startedAt = performance.now();
    try {
      begin.run();
      const answers: Answer[] = [];
      for (const operation of operations) answers.push(attempt(operation));
      const appliedAt = performance.now();
      end.run();
      const endedAt = performance.now();
      return {
        type: "committed",
        answers,
        deliveries: deliveries.takeNews(),
        commitMs: endedAt - startedAt,
        syncMs: endedAt - appliedAt,
      };
    } catch (error) {
      return { type: "failed", error: String(error) };
    }
  };

  /** An operation that throws changes nothing and leaves its neighbours alone; a fault of the disk takes all with it. */
  function attempt(operation: Operation): Answer {
    try {
      return apply(operation);
    } catch (error) {
      if (!db.isTransaction || isFault(error)) throw error;
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** SQLite's result codes (sqlite.org/rescode.html) that blame the operation: TOOBIG, CONSTRAINT, MISMATCH, RANGE. Any other blames the file. */
const OPERATIONS_OWN = new Set([18, 19, 20, 25]);

function isFault(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  return code !== undefined && !OPERATIONS_OWN.has(code & 0xff);
}

function close(port: WriterPort, db: DatabaseSync, clean: boolean): void {
  try {
    if (clean) db.exec("UPDATE meta SET value = 1 WHERE name = 'clean_stop'");
    db.close();
  } finally {
    port.close();
  }
}

/**
 * Stands in for `node:sqlite`: as much of it as inferq uses, on the simulated disk. The files of a database are
 * there as SQLite on Unix leaves them, but for its `-shm`, which is memory of the processes that have it open.
 */
import { Connection } from "./sqlite/connection.ts";
import { StatementSync } from "./sqlite/statement.ts";

export { StatementSync };

export class DatabaseSync {
  readonly #connection: Connection;

  constructor(path: string, { readOnly = false, timeout = 0 }: { readOnly?: boolean; timeout?: number } = {}) {
    this.#connection = new Connection(path, readOnly, timeout);
  }

  get isTransaction(): boolean {
    return this.#connection.isTransaction;
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  prepare(sql: string): StatementSync {
    return new StatementSync(this.#connection, this.#connection.prepare(sql));
  }

  close(): void {
    this.#connection.close();
  }
}

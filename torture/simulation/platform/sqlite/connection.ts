/** A connection to a database, which ends with the process that opened it. */
import { machine, type Machine, type Process } from "../../machine.ts";
import { reseed, rethrow, tidy } from "./vfs.ts";
import { c, capi, cTextAt, intAt, putText, room, type Pointer } from "./wasm.ts";

const { SQLITE_OK, SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE, SQLITE_OPEN_CREATE } = capi;

/** All that are open. */
const connections = new Set<Connection>();

/** Whose seed SQLite's own source of chance comes from. */
let seededBy: Machine | null = null;

export class Connection {
  readonly db: Pointer;
  readonly #machine: Machine;
  readonly #process: Process;
  readonly #statements = new Set<Pointer>();
  #isOpen = true;

  constructor(path: string, isReadOnly: boolean, timeoutMs: number) {
    this.#machine = machine();
    this.#process = this.#machine.current;
    beginCall(this.#process);
    const flags = isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const out = c.sqlite3_malloc(8);
    putText(path);
    const answer = c.sqlite3_open_v2(room(0), out, flags, 0);
    this.db = intAt(out);
    c.sqlite3_free(out);
    connections.add(this);
    try {
      this.#check(answer);
      // As `node:sqlite` does it.
      capi.sqlite3_db_config(this.db, capi.SQLITE_DBCONFIG_ENABLE_FKEY, 1, 0);
      capi.sqlite3_db_config(this.db, capi.SQLITE_DBCONFIG_DEFENSIVE, 1, 0);
      this.#check(c.sqlite3_busy_timeout(this.db, timeoutMs));
      // What Node's SQLite is compiled with.
      this.exec("PRAGMA page_size = 4096");
    } catch (error) {
      this.#free();
      rethrow();
      throw error;
    }
  }

  get isTransaction(): boolean {
    return this.use(() => c.sqlite3_get_autocommit(this.db) === 0);
  }

  exec(sql: string): void {
    this.use(() => {
      putText(sql);
      this.#check(c.sqlite3_exec(this.db, room(0), 0, 0, 0));
    });
  }

  prepare(sql: string): Pointer {
    return this.use(() => {
      const out = c.sqlite3_malloc(8);
      const bytes = putText(sql);
      const answer = c.sqlite3_prepare_v2(this.db, room(0), bytes, out, 0);
      const statement = intAt(out);
      c.sqlite3_free(out);
      this.#check(answer);
      this.#statements.add(statement);
      return statement;
    });
  }

  close(): void {
    this.use(() => this.#free());
  }

  /** One call of SQLite's. What was thrown beneath it is thrown on. */
  use<T>(work: () => T): T {
    beginCall(this.#process);
    if (!this.#isOpen) throw fault("ERR_INVALID_STATE", "database is not open");
    try {
      return work();
    } finally {
      rethrow();
    }
  }

  /** Whoever opened it is gone: what it had in memory is freed, and nothing else happens. */
  endIfOver(present: Machine): void {
    if (this.#process.lives && this.#machine === present) return;
    tidy(() => this.#free());
  }

  #free(): void {
    this.#isOpen = false;
    connections.delete(this);
    for (const statement of this.#statements) c.sqlite3_finalize(statement);
    c.sqlite3_close_v2(this.db);
  }

  #check(answer: number): void {
    if (answer !== SQLITE_OK) throw failure(this);
  }
}

function beginCall(process: Process): void {
  const present = machine();
  if (!process.lives) throw new Error(`The process ${process.name} has died.`);
  for (const connection of connections) connection.endIfOver(present);
  if (present !== seededBy) reseed();
  seededBy = present;
}

/** What `node:sqlite` throws when SQLite refuses. */
export function failure({ db }: { readonly db: Pointer }): Error {
  const errcode = c.sqlite3_extended_errcode(db);
  const error = fault("ERR_SQLITE_ERROR", cTextAt(c.sqlite3_errmsg(db)));
  return Object.assign(error, { errcode, errstr: cTextAt(c.sqlite3_errstr(errcode)) });
}

export function fault(code: string, message: string, Kind: typeof Error = Error): Error {
  return Object.assign(new Kind(message), { code });
}

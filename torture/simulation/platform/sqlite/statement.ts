import { failure, fault, type Connection } from "./connection.ts";
import { c, capi, cTextAt, putText, room, textAt, wasm, type Pointer } from "./wasm.ts";

const { SQLITE_ROW, SQLITE_DONE, SQLITE_OK, SQLITE_NULL, SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT } = capi;

/** SQLite makes a copy of what it is given. */
const TRANSIENT = -1;

type Value = null | number | bigint | string | Uint8Array;
type Row = Record<string, Value> | Value[];

/** `StatementSync` of `node:sqlite`. */
export class StatementSync {
  readonly #connection: Connection;
  readonly #statement: Pointer;
  /** Places of the parameters by name, with what stands before it, and those that have none or a number. */
  readonly #named = new Map<string, number>();
  readonly #others: number[] = [];
  #columns: string[] = [];
  #returnsArrays = false;

  /** For `DatabaseSync.prepare`. */
  constructor(connection: Connection, statement: Pointer) {
    this.#connection = connection;
    this.#statement = statement;
    for (let place = 1; place <= c.sqlite3_bind_parameter_count(statement); place += 1) {
      const name = c.sqlite3_bind_parameter_name(statement, place);
      const text = name === 0 ? "?" : cTextAt(name);
      if (text.startsWith("?")) this.#others.push(place);
      else this.#named.set(text, place);
    }
  }

  setReturnArrays(enabled: boolean): void {
    this.#returnsArrays = enabled;
  }

  run(...values: unknown[]): { changes: number; lastInsertRowid: number } {
    return this.#whole(values, () => {
      const answer = c.sqlite3_step(this.#statement);
      if (answer !== SQLITE_ROW && answer !== SQLITE_DONE) throw failure(this.#connection);
      const { db } = this.#connection;
      return { changes: c.sqlite3_changes(db), lastInsertRowid: Number(c.sqlite3_last_insert_rowid(db)) };
    });
  }

  get(...values: unknown[]): Row | undefined {
    return this.#whole(values, () => (this.#step() ? this.#row() : undefined));
  }

  all(...values: unknown[]): Row[] {
    return this.#whole(values, () => {
      const rows: Row[] = [];
      while (this.#step()) rows.push(this.#row());
      return rows;
    });
  }

  /** Gives it its values, does `work`, and leaves it as if it had never run. */
  #whole<T>(values: unknown[], work: () => T): T {
    return this.#connection.use(() => {
      try {
        this.#bind(values);
        return work();
      } finally {
        c.sqlite3_reset(this.#statement);
      }
    });
  }

  #step(): boolean {
    const answer = c.sqlite3_step(this.#statement);
    if (answer === SQLITE_ROW) return true;
    if (answer === SQLITE_DONE) return false;
    throw failure(this.#connection);
  }

  #bind(values: unknown[]): void {
    c.sqlite3_clear_bindings(this.#statement);
    const [first] = values;
    let next = 0;
    if (typeof first === "object" && first !== null && !ArrayBuffer.isView(first)) {
      next = 1;
      for (const [name, value] of Object.entries(first)) {
        const place =
          this.#named.get(name) ?? ["$", ":", "@"].map((sign) => this.#named.get(sign + name)).find(Boolean);
        if (place === undefined) throw fault("ERR_INVALID_STATE", `Unknown named parameter '${name}'`);
        this.#bindOne(place, value);
      }
    }
    for (const [i, value] of values.slice(next).entries()) this.#bindOne(this.#others[i] ?? 0, value);
  }

  #bindOne(place: number, value: unknown): void {
    const statement = this.#statement;
    let answer;
    if (typeof value === "number" || typeof value === "boolean") {
      answer = c.sqlite3_bind_double(statement, place, Number(value));
    } else if (typeof value === "string") {
      const bytes = putText(value);
      answer = c.sqlite3_bind_text(statement, place, room(0), bytes, TRANSIENT);
    } else if (value === null || value === undefined) {
      answer = c.sqlite3_bind_null(statement, place);
    } else if (value instanceof Uint8Array) {
      const at = room(value.length);
      wasm.heap8u().set(value, at);
      answer = c.sqlite3_bind_blob(statement, place, at, value.length, TRANSIENT);
    } else if (typeof value === "bigint") {
      answer = c.sqlite3_bind_int64(statement, place, value);
    } else {
      const message = `Provided value cannot be bound to SQLite parameter ${place}.`;
      throw fault("ERR_INVALID_ARG_TYPE", message, TypeError);
    }
    if (answer !== SQLITE_OK) throw failure(this.#connection);
  }

  #row(): Row {
    const count = c.sqlite3_column_count(this.#statement);
    if (this.#returnsArrays) return Array.from({ length: count }, (_, column) => this.#value(column));
    if (this.#columns.length !== count) {
      this.#columns = Array.from({ length: count }, (_, i) => cTextAt(c.sqlite3_column_name(this.#statement, i)));
    }
    const row = Object.create(null) as Record<string, Value>;
    for (let column = 0; column < count; column += 1) row[this.#columns[column]!] = this.#value(column);
    return row;
  }

  #value(column: number): Value {
    const statement = this.#statement;
    switch (c.sqlite3_column_type(statement, column)) {
      case SQLITE_NULL:
        return null;
      case SQLITE_FLOAT:
        return c.sqlite3_column_double(statement, column);
      case SQLITE_INTEGER: {
        const value = c.sqlite3_column_double(statement, column);
        if (Number.isSafeInteger(value)) return value;
        const exact = c.sqlite3_column_int64(statement, column);
        const message = `Value is too large to be represented as a JavaScript number: ${exact}`;
        throw fault("ERR_OUT_OF_RANGE", message, RangeError);
      }
      case SQLITE_TEXT:
        return textAt(c.sqlite3_column_text(statement, column), c.sqlite3_column_bytes(statement, column));
      default: {
        const at = c.sqlite3_column_blob(statement, column);
        return wasm.heap8u().slice(at, at + c.sqlite3_column_bytes(statement, column));
      }
    }
  }
}

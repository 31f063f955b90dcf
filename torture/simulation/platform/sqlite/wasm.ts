/** SQLite itself, compiled to WebAssembly: the version that Node has built in. One instance serves all schedules. */
import init from "@sqlite.org/sqlite-wasm";

/** Address in the instance's memory. */
export type Pointer = number;

/** The C functions (sqlite.org/c3ref/funclist.html) that are called without a wrapper. */
interface Exports {
  sqlite3_open_v2(path: Pointer, db: Pointer, flags: number, vfs: Pointer): number;
  sqlite3_close_v2(db: Pointer): number;
  sqlite3_exec(db: Pointer, sql: Pointer, callback: 0, argument: 0, message: 0): number;
  sqlite3_prepare_v2(db: Pointer, sql: Pointer, bytes: number, statement: Pointer, tail: 0): number;
  sqlite3_finalize(statement: Pointer): number;
  sqlite3_reset(statement: Pointer): number;
  sqlite3_step(statement: Pointer): number;
  sqlite3_clear_bindings(statement: Pointer): number;
  sqlite3_bind_parameter_count(statement: Pointer): number;
  sqlite3_bind_parameter_name(statement: Pointer, place: number): Pointer;
  sqlite3_bind_null(statement: Pointer, place: number): number;
  sqlite3_bind_double(statement: Pointer, place: number, value: number): number;
  sqlite3_bind_int64(statement: Pointer, place: number, value: bigint): number;
  sqlite3_bind_text(statement: Pointer, place: number, text: Pointer, bytes: number, destructor: number): number;
  sqlite3_bind_blob(statement: Pointer, place: number, blob: Pointer, bytes: number, destructor: number): number;
  sqlite3_column_count(statement: Pointer): number;
  sqlite3_column_name(statement: Pointer, column: number): Pointer;
  sqlite3_column_type(statement: Pointer, column: number): number;
  sqlite3_column_double(statement: Pointer, column: number): number;
  sqlite3_column_int64(statement: Pointer, column: number): bigint;
  sqlite3_column_text(statement: Pointer, column: number): Pointer;
  sqlite3_column_blob(statement: Pointer, column: number): Pointer;
  sqlite3_column_bytes(statement: Pointer, column: number): number;
  sqlite3_changes(db: Pointer): number;
  sqlite3_last_insert_rowid(db: Pointer): bigint;
  sqlite3_get_autocommit(db: Pointer): number;
  sqlite3_extended_errcode(db: Pointer): number;
  sqlite3_errmsg(db: Pointer): Pointer;
  sqlite3_errstr(code: number): Pointer;
  sqlite3_busy_timeout(db: Pointer, ms: number): number;
  sqlite3_randomness(bytes: number, into: Pointer): void;
  sqlite3_malloc(bytes: number): Pointer;
  sqlite3_free(address: Pointer): void;
}

const instance = await init();

export const { capi, wasm } = instance;
export const c = wasm.exports as unknown as Exports;

/** Puts a file system in the place of the one that SQLite has: from it also come its time and chance. Answers the address of its `sqlite3_io_methods`. */
export function install(
  vfsMethods: Readonly<Record<string, (...args: never[]) => unknown>>,
  ioMethods: Readonly<Record<string, (...args: never[]) => unknown>>,
): Pointer {
  const vfs = new capi.sqlite3_vfs() as unknown as Record<string, number>;
  const io = new capi.sqlite3_io_methods() as unknown as Record<string, number>;
  vfs["$iVersion"] = 2;
  vfs["$szOsFile"] = (capi.sqlite3_file as unknown as { structInfo: { sizeof: number } }).structInfo.sizeof;
  vfs["$mxPathname"] = 512;
  io["$iVersion"] = 2;
  const { installVfs } = instance.vfs as unknown as { installVfs(parts: object): void };
  installVfs.call(instance.vfs, {
    io: { struct: io, methods: ioMethods },
    vfs: { struct: vfs, name: "simulated", methods: vfsMethods, asDefault: true },
  });
  return io["pointer"]!;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Reused for what is handed over and copied at once. */
let scratch = 0;
let scratchBytes = 0;

/** Room for `bytes`, until the next call. */
export function room(bytes: number): Pointer {
  if (bytes > scratchBytes) {
    c.sqlite3_free(scratch);
    scratchBytes = Math.max(4096, bytes * 2);
    scratch = c.sqlite3_malloc(scratchBytes);
  }
  return scratch;
}

/** Puts `text` there, with a zero behind it, until the next call. Answers its length in bytes. */
export function putText(text: string): number {
  const at = room(text.length * 3 + 1);
  const heap = wasm.heap8u();
  const { written } = encoder.encodeInto(text, heap.subarray(at, at + text.length * 3));
  heap[at + written] = 0;
  return written;
}

export function textAt(address: Pointer, bytes: number): string {
  const heap = wasm.heap8u();
  if (bytes > 24) return decoder.decode(heap.subarray(address, address + bytes));
  let text = "";
  for (let at = address; at < address + bytes; at += 1) {
    if (heap[at]! > 127) return decoder.decode(heap.subarray(address, address + bytes));
    text += String.fromCharCode(heap[at]!);
  }
  return text;
}

/** The text that ends with a zero. */
export function cTextAt(address: Pointer): string {
  return textAt(address, wasm.heap8u().indexOf(0, address) - address);
}

export function putInt(address: Pointer, value: number): void {
  wasm.heap32()[address >> 2] = value;
}

export function putLong(address: Pointer, value: number): void {
  putInt(address, value % 2 ** 32);
  putInt(address + 4, value / 2 ** 32);
}

export function intAt(address: Pointer): number {
  return wasm.heap32()[address >> 2]!;
}

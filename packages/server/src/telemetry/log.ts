/** Where the worker, the sweeper and the webhooks log: pino, or anything of its shape. Lines carry ids, never an input or a key. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

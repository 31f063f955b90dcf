/**
 * How a model is written: a slug, an input schema, the kind of output it makes, `setup` once and
 * `run` many times. This module has no dependencies; it is all that a model package imports.
 *
 * The server imports a model's module for its schema, and the child process imports it to run it:
 * import heavy libraries inside `setup`, so that the server stays small and safe.
 *
 * @module
 */

/** JSON Schema (draft 2020-12 subset that ajv compiles); also the documentation and the form. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Schema of a media parameter: on the wire a URL, a data URI or bare base64; in `run` a `MediaFile`. */
export interface MediaSchema extends JsonSchema {
  readonly type: "string";
  /** What the media must be, e.g. "image/*". Marks the parameter as media. */
  readonly contentMediaType: string;
}

/** Declares a media parameter. `accept` is a media type or range such as `image/*`, or several with commas between. */
export function media(accept: string, more: JsonSchema = {}): MediaSchema {
  return { ...more, type: "string", contentMediaType: accept };
}

/** A media input in `run`: a local file to read. */
export interface MediaFile {
  /** Absolute path; read only. */
  readonly path: string;
  /** As sniffed from the bytes, e.g. "image/png". */
  readonly contentType: string;
  /** Bytes. */
  readonly size: number;
}

/** A file that `run` makes: write to `path`, then return it. */
export interface OutputFile {
  readonly path: string;
}

export type ModelOutput =
  | OutputFile
  | readonly OutputFile[]
  | string
  | {
      readonly output: OutputFile | readonly OutputFile[] | string;
      /** The seed used, echoed to the client in place of the one asked for. */
      readonly seed?: number;
      /** Text models: the reasoning beside the answer. */
      readonly reasoning?: string;
    };

export interface RunContext<Session> {
  /** What `setup` returned. */
  readonly session: Session;
  /** Aborts when the run is cancelled, timed out or its lease is lost. */
  readonly signal: AbortSignal;
  /** The longest this run may take, seconds. A model that sees that it will not do had better say so than be stopped. */
  readonly timeoutSeconds: number;
  /** Tells how far the run is, 0 to 1. */
  readonly progress: (fraction: number) => void;
  /** A line that the request's client may read. What is printed to stdout and stderr goes to the server's own log. */
  readonly log: (message: string) => void;
  /**
   * Text models: tells the next piece of the output while it is made. All pieces together are the beginning of what
   * `run` returns, which alone counts: a client may see some of them, none, or those of an attempt that failed.
   */
  readonly partial: (text: string) => void;
  /** A new file to write in this attempt's directory; `name`'s extension tells its type. */
  readonly file: (name: string) => OutputFile;
}

/** How often a request is tried again, and when; each field has its default. */
export interface Retries {
  /** Further tries after its process crashed or its worker went silent, 0 to 100. Default 2. */
  readonly crashes?: number;
  /** Further tries after errors that `run` throws as `Retryable`, 0 to 100. Default 2. */
  readonly errors?: number;
  /** Seconds before the first of these tries, 0 to 300; each further one waits five times as long, at most five minutes. Default 1. */
  readonly delaySeconds?: number;
}

export interface ModelDefinition<Session = unknown> {
  /** Slug in URLs: `^[A-Za-z0-9._-]+$`, and neither `requests` nor `models`. */
  readonly name: string;
  /** Which kind of output it makes. `"input.kind"`-style choices are made by `outputOf`. */
  readonly output: "image" | "video" | "audio" | "text";
  /** One sentence for people. */
  readonly description?: string;
  /** Schema of the input object. Unknown fields are accepted and ignored. */
  readonly input: JsonSchema;
  /** The kind of output for one input, where it depends on the input (`mock-inference`). Must be cheap and pure. */
  readonly outputOf?: (input: Readonly<Record<string, unknown>>) => "image" | "video" | "audio" | "text";
  /** `/readyz` waits for light models only. Default "light". */
  readonly weight?: "light" | "heavy";
  /** Requests that one process runs at once. Default 1. */
  readonly concurrency?: number;
  /** Longest run, seconds. Default 600. */
  readonly timeoutSeconds?: number;
  readonly retries?: Retries;
  /** Loads what runs share; called once in each process before the first run. */
  setup?(): Session | Promise<Session>;
  /** One inference. Throw an `Error` to fail the request, `InvalidInput` when the input is at fault, `Retryable` to be tried again. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the server checks input against the schema; the model knows its own type
  run(input: any, context: RunContext<Session>): ModelOutput | Promise<ModelOutput>;
}

/** Declares a model; the default export of its module. */
export function defineModel<Session>(definition: ModelDefinition<Session>): ModelDefinition<Session> {
  return definition;
}

/** Thrown by `run` to be tried again, after `afterMs` if given: a full queue upstream, a lost connection. */
export class Retryable extends Error {
  readonly afterMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly afterMs?: number } = {}) {
    super(message, options);
    this.name = "Retryable";
    this.afterMs = options.afterMs;
  }
}

/** Thrown by `run` when it finds the input at fault: a file that is no image, a text without words. */
export class InvalidInput extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "InvalidInput";
  }
}

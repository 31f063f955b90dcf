/** A model that does nothing, well: for tests, benchmarks and trying clients. */
import { writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { crc32, deflateSync } from "node:zlib";
import { defineModel, type ModelDefinition, type RunContext } from "../model.ts";
import { MP4 } from "./mp4.ts";

const TEXT = "The quick brown fox jumps over the lazy dog.";

/** As they are told; together they are the text. */
const WORDS = TEXT.split(/(?<= )/);

interface Input {
  readonly sleep: number;
  readonly fail: boolean;
  readonly crash: boolean;
  readonly kind: "image" | "video" | "text";
}

interface Session {
  readonly png: Uint8Array;
}

const mockInference: ModelDefinition<Session> = defineModel<Session>({
  name: "mock-inference",
  description: "Waits, fails or crashes as it is told, and answers with a fixed picture, video or text.",
  output: "image",
  outputOf: (input) => (input.kind === "video" || input.kind === "text" ? input.kind : "image"),
  input: {
    type: "object",
    properties: {
      sleep: { type: "number", minimum: 0, maximum: 600, default: 0, description: "Seconds to wait before answering." },
      fail: { type: "boolean", default: false, description: "Fail as a model does that throws." },
      crash: { type: "boolean", default: false, description: "End the model's process as a native fault does." },
      kind: { enum: ["image", "video", "text"], default: "image", description: "What to answer with." },
      prompt: { type: "string", description: "Comes back with an image, as with models that have one." },
      seed: { type: "integer", description: "Comes back with an image, as with models that have one." },
    },
  },
  concurrency: 64,
  timeoutSeconds: 660,
  setup: () => ({ png: gradient(64) }),
  async run(input: Input, context) {
    const { session, file } = context;
    if (input.sleep > 0) await sleep(input, context);
    if (input.crash) crash();
    if (input.fail) throw new Error("mock-inference was asked to fail.");
    if (input.kind === "text") return TEXT;
    const output = file(input.kind === "video" ? "output.mp4" : "output.png");
    await writeFile(output.path, input.kind === "video" ? MP4 : session.png);
    return output;
  },
});
export default mockInference;

/** Sleeps in steps, and tells of each how far it is; of a text, the words so far. */
async function sleep({ sleep, kind }: Input, { signal, progress, partial }: RunContext<Session>): Promise<void> {
  const startedAt = performance.now();
  for (const [index, word] of WORDS.entries()) {
    const share = (index + 1) / WORDS.length;
    await wait(Math.max(0, sleep * 1_000 * share - (performance.now() - startedAt)), undefined, { signal });
    progress(share);
    if (kind === "text") partial(word);
  }
}

/** SIGKILL rather than abort(): nothing catches it, and it leaves no core file. */
function crash(): void {
  if (!(Symbol.for("inferq.child") in globalThis)) {
    throw new Error("mock-inference crashes only in a process of its own, and this one is the server's.");
  }
  process.kill(process.pid, "SIGKILL");
}

/** A square PNG, 8-bit RGB, red growing to the right and green downwards (PNG specification, sections 5 and 11). */
function gradient(side: number): Uint8Array {
  const rows = Buffer.alloc(side * (1 + side * 3)); // each row begins with its filter, 0
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      rows.set([(x * 255) / (side - 1), (y * 255) / (side - 1), 128], y * (1 + side * 3) + 1 + x * 3);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** The models of the simulated world, and what their inputs and outputs look like. */
import {
  type Catalog,
  catalog,
  type ModelState,
  type ServedModel,
} from "../../../packages/server/src/model/catalog.ts";
import { media, type ModelDefinition } from "../../../packages/server/src/model/model.ts";

function never(): never {
  throw new Error("Nothing runs here but simulated runners.");
}

/** Text from text. */
const say: ModelDefinition = {
  name: "say",
  output: "text",
  input: { type: "object", required: ["prompt"], properties: { prompt: { type: "string" } } },
  run: never,
};

/** Pictures from a picture. */
const draw: ModelDefinition = {
  name: "draw",
  output: "image",
  input: {
    type: "object",
    required: ["image"],
    properties: { image: media("image/*"), prompt: { type: "string" } },
  },
  run: never,
};

export const MODELS: readonly ServedModel[] = [
  { definition: say, timeoutMs: 20_000, waitingLimit: 40 },
  { definition: draw, timeoutMs: 8_000 },
];

let stateOf: (model: string) => ModelState = () => ({ type: "stopped" });

/** The catalog, compiled once; how a model does is asked of the server that runs now. */
export const CATALOG: Catalog = catalog(MODELS, (model) => stateOf(model));

export function modelStates(of: (model: string) => ModelState): void {
  stateOf = of;
}

/** What every picture begins with (PNG, section 5.2), and a header as it must follow. */
const PNG = Buffer.from("89504e470d0a1a0a0000000d4948445200000001000000010806000000", "hex");

/** A picture that says `text`. */
export function picture(text: string): Buffer {
  return Buffer.concat([PNG, Buffer.from(text)]);
}

/** What a picture says; undefined if it is none. */
export function saidBy(picture: Uint8Array): string | undefined {
  const bytes = Buffer.from(picture);
  return bytes.subarray(0, PNG.length).equals(PNG) ? bytes.toString("latin1", PNG.length) : undefined;
}

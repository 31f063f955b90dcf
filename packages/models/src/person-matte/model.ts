/**
 * Cuts the person out of a photo: the background becomes transparent, a colour, or a blur of itself.
 *
 * @module
 */
import { defineModel, media, type MediaFile } from "inferq/model";
import { decodeImage, encodeImage, extensionFor, type Sharp } from "../lib/image.ts";
import { type Network, openNetwork } from "../lib/onnx.ts";
import { blurredBackground, COLOUR_NAMES, colourBackground, compose } from "./background.ts";
import { matteOf } from "./matte.ts";

interface Input {
  readonly image: MediaFile;
  readonly background?: string;
}

interface Session {
  readonly sharp: Sharp;
  readonly network: Network;
}

const MAX_PIXELS = 32e6;

export default defineModel<Session>({
  name: "person-matte",
  output: "image",
  description: "Cuts the people out of a photo and puts them on nothing, on a colour, or on the blurred original.",
  input: {
    type: "object",
    required: ["image"],
    properties: {
      image: media("image/*", {
        description:
          "A photo of one or more people: JPEG, PNG, WebP, GIF (its first frame), TIFF or AVIF, at most 32 megapixels.",
      }),
      background: {
        type: "string",
        pattern: `^(transparent|blur|#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}|${COLOUR_NAMES.join("|")})$`,
        default: "transparent",
        description: `What to put behind them: transparent, blur (the photo itself, out of focus), #rgb, #rrggbb, or one of ${COLOUR_NAMES.join(", ")}.`,
      },
    },
  },
  async setup() {
    const { default: sharp } = await import("sharp");
    return { sharp, network: await openNetwork(new URL("../../weights/person-matte.onnx", import.meta.url)) };
  },
  async run({ image, background = "transparent" }: Input, context) {
    const { sharp, network } = context.session;
    const photo = await decodeImage(sharp, image, { field: "image", maxPixels: MAX_PIXELS });
    context.signal.throwIfAborted();

    const matte = await matteOf(sharp, network, photo);
    context.progress(0.5);
    context.signal.throwIfAborted();

    if (background === "transparent") {
      const result = context.file("person.png");
      await encodeImage(sharp, { ...photo, alpha: matte }, result.path);
      return result;
    }
    const behind =
      background === "blur" ? await blurredBackground(sharp, photo, matte) : colourBackground(photo, background);
    const result = context.file(`person.${extensionFor(photo.format, true)}`);
    await encodeImage(sharp, compose(photo, matte, behind), result.path);
    return result;
  },
});

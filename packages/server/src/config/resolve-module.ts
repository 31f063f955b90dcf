/** Where a module specifier of the config leads. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { StartError } from "./start-error.ts";

/** The file URL of a model's module: `./x.ts` is relative to the config file, anything else a package that it can see. Throws `StartError`. */
export function resolveModule(specifier: string, configPath: string): string {
  try {
    return pathToFileURL(createRequire(configPath).resolve(specifier)).href;
  } catch (error) {
    throw new StartError(
      `${configPath}: the model "${specifier}" was not found; expected an installed package or a path such as "./my-model.ts".`,
      { cause: error },
    );
  }
}

/** Follows the models while they load: says when the server is ready, and when it never will be. A fault that is there already is told at once. */
import type { Logger } from "pino";
import { StartError } from "../config/start-error.ts";
import type { Catalog } from "../model/catalog.ts";
import type { LoadedModel } from "./load-models.ts";

export interface Setups {
  /** Whether every light model has loaded or failed to, and one of all models runs: a broken model degrades the server, it does not stop it. */
  ready(): boolean;
  /** Resolves when every model has failed. */
  readonly hopeless: Promise<StartError>;
}

export function watchSetups(models: readonly LoadedModel[], served: Catalog, logger: Logger): Setups {
  const startedAt = performance.now();
  const loaded = new Set<string>();
  /** Models that failed and have not loaded since, with the reason. */
  const broken = new Map<string, string>();
  const { promise: hopeless, resolve: giveUp } = Promise.withResolvers<StartError>();

  const look = ({ name }: LoadedModel): void => {
    const { state } = served.find(name)!;
    if (state.type === "ready" && !loaded.has(name)) {
      loaded.add(name);
      broken.delete(name);
      logger.info({ model: name, seconds: Math.round(performance.now() - startedAt) / 1000 }, "model ready");
    }
    if (state.type === "failed" && broken.get(name) !== state.reason) {
      broken.set(name, state.reason);
      logger.error({ model: name, reason: state.reason }, "model cannot run");
    }
    if (broken.size === models.length && loaded.size === 0) {
      const reasons = [...broken].map(([model, reason]) => `${model} (${reason})`).join("; ");
      giveUp(new StartError(`No model can be served: ${reasons}.`));
    }
  };
  for (const model of models) {
    model.runner.onChange(() => look(model));
    look(model);
  }

  const light = models.filter(({ definition }) => definition.weight !== "heavy").map(({ name }) => name);
  return {
    ready: () => loaded.size > 0 && light.every((name) => loaded.has(name) || broken.has(name)),
    hopeless,
  };
}

/** In which order the models of a worker load. */
import type { WorkerModel } from "./attempt.ts";

/** A light model that takes longer than this holds the heavy ones up no more, ms. */
const LIGHT_LIMIT_MS = 10_000;

/** Starts the light models, and the heavy ones when those have loaded or failed: a few cores are not shared with who takes long. */
export function startRunners(models: readonly WorkerModel[]): void {
  const light = models.filter(({ definition }) => definition.weight !== "heavy");
  const heavy = models.filter((model) => !light.includes(model));
  const loading = new Set(light);

  const startHeavy = (): void => {
    clearTimeout(timer);
    for (const { runner } of heavy) if (runner.state.type !== "stopped") runner.start();
  };
  const timer = setTimeout(startHeavy, LIGHT_LIMIT_MS);
  timer.unref();
  for (const model of light) {
    model.runner.onChange(() => {
      const { type } = model.runner.state;
      if ((type === "ready" || type === "failed") && loading.delete(model) && loading.size === 0) startHeavy();
    });
  }
  for (const { runner } of light) runner.start();
  if (light.length === 0) startHeavy();
}

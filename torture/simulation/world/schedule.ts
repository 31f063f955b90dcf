/** One schedule: a world drawn from a seed, so many steps of trouble in it, then rest, and what must be true there. */
import { Disk } from "../disk.ts";
import { isOn, Machine, machine, Process, SWITCHED_ON_AT, switchTo } from "../machine.ts";
import { forgetDrawn } from "../platform/crypto.ts";
import { Random } from "../random.ts";
import { Clients } from "./clients.ts";
import { Ledger, type Met } from "./ledger.ts";
import { Nemesis } from "./nemesis.ts";
import { Receivers } from "./receivers.ts";
import { comeToRest } from "./rest.ts";
import { drawSettings } from "./settings.ts";

export interface ScheduleResult {
  readonly seed: number;
  readonly steps: number;
  /** The promise that was broken, or null. */
  readonly broken: string | null;
  readonly met: Met;
  /** The same for each run of the same seed. */
  readonly digest: number;
}

/** Its files are as old as the machine's clock says. */
function diskOf(random: Random): Disk {
  switchTo(null);
  return new Disk(random, () => (isOn() ? machine().wallOffset + machine().time : SWITCHED_ON_AT));
}

/** Runs the schedule of `seed` with `steps` steps of trouble; `onNote` is told what happens. */
export async function runSchedule(
  seed: number,
  steps: number,
  onNote: ((text: string) => void) | null = null,
): Promise<ScheduleResult> {
  const random = new Random(seed);
  const world = new Machine(random, diskOf(random), new Process("world"));
  switchTo(world);
  forgetDrawn();
  world.onNote = onNote;
  const ledger = new Ledger();
  world.onUncaught = (error) => {
    if (!world.current.lives) return; // it dies in this step: nobody hears of it
    ledger.fail(`nothing uncaught: ${error instanceof Error ? error.stack : String(error)}`);
  };
  const uncaught = (error: unknown): void => world.onUncaught(error);
  process.on("unhandledRejection", uncaught);
  process.on("uncaughtException", uncaught);
  try {
    const settings = drawSettings(random);
    const receivers = new Receivers(ledger, settings.troubles);
    const nemesis = new Nemesis({ settings, ledger, receivers });
    const clients = new Clients({ settings, ledger, server: () => nemesis.server });
    nemesis.start();
    clients.start();
    await world.run(() => {
      nemesis.betweenSteps();
      return world.steps >= steps || ledger.broken !== null;
    });
    receivers.isQuiet = true;
    clients.isQuiet = true;
    nemesis.relent();
    if (ledger.broken === null) await comeToRest({ nemesis, ledger, settings });
  } catch (error) {
    ledger.fail(`the simulation itself: ${(error as Error).stack}`);
  } finally {
    process.off("unhandledRejection", uncaught);
    process.off("uncaughtException", uncaught);
    world.disk.release();
  }
  return { seed, steps: world.steps, broken: ledger.broken, met: ledger.met, digest: world.digest };
}

/** Whoever has it in for the server: kills it, takes its power, stops it, holds it up, breaks its disk, moves its clock; and starts it again. */
import { fault, type Operation } from "../disk.ts";
import { type Due, machine, Process } from "../machine.ts";
import { type SimulatedServer, startSimulated, type World } from "./server.ts";

/** How long a server may take to start or stop before it is a fault, in simulated ms: it stands still meanwhile, perhaps for most of them. */
const LONGEST_WAIT_MS = 600_000;

/** As the server does. */
const SWEEP_EVERY_MS = 1_000;

type Death = "kill" | "power loss";

export class Nemesis {
  readonly #world: World;
  readonly #self = new Process("nemesis");
  #process: Process | null = null;
  /** The next start, while there is no process. */
  #due: Due | null = null;
  #server: SimulatedServer | null = null;
  #isStopping = false;
  /** Of the next operations of the disk one is the last. */
  #lastOperation: { countdown: number; readonly death: Death } | null = null;
  #dead: Death | null = null;
  /** Until then operations of the disk fail. */
  #faultyUntil = 0;
  #faults: readonly string[] = [];
  isQuiet = false;

  constructor(world: World) {
    this.#world = world;
    machine().disk.before = (operation) => this.#beforeOperation(operation);
  }

  /** The server that answers now; null while there is none, or it starts. */
  get server(): SimulatedServer | null {
    return this.#server;
  }

  /** Starts a server in a new process. */
  start(): void {
    const process = new Process("server");
    this.#process = process;
    machine().as(process, () => machine().after(1, () => void this.#startIn(process)));
  }

  async #startIn(process: Process): Promise<void> {
    const { ledger } = this.#world;
    const mustStart = this.isQuiet; // a fault before may still be met afterwards
    try {
      const server = await startSimulated(this.#world, process);
      if (!process.lives) return;
      ledger.count("start");
      this.#server = server;
    } catch (error) {
      if (!process.lives) return;
      ledger.count("start failed");
      ledger.leases.stopping(); // what it had opened it closed as it should
      machine().detail(() => String((error as Error).stack));
      if (mustStart) ledger.fail(`a server does not start: ${String(error)}`);
      this.#die("kill");
    }
  }

  /** Called between any two steps: perhaps something happens now. */
  betweenSteps(): void {
    if (this.#dead !== null) this.#bury();
    if (this.isQuiet || this.#process === null) return;
    const { troubles } = this.#world.settings;
    const { random } = machine();
    if (random.chance(troubles.kill)) this.#strike("kill");
    else if (random.chance(troubles.powerLoss)) this.#strike("power loss");
    else if (random.chance(troubles.stop)) this.stop();
    else if (random.chance(troubles.stall)) this.#stall();
    else if (random.chance(troubles.scan)) this.#scan();
    else if (random.chance(troubles.jump)) this.#jump();
    else if (random.chance(troubles.diskFault)) this.#breakDisk();
  }

  /** Stops the server as SIGTERM does. It starts again after a while. */
  stop(): void {
    const server = this.#server;
    if (server === null) return;
    const { ledger } = this.#world;
    this.#server = null;
    this.#isStopping = true;
    ledger.count("stop");
    ledger.leases.stopping();
    machine().as(server.process, () => machine().after(0, () => void this.#stopped(server)));
    machine().as(this.#self, () =>
      machine().after(LONGEST_WAIT_MS, () => {
        if (server.process.lives && this.#process === server.process)
          ledger.fail("a server did not stop within ten minutes");
      }),
    );
  }

  async #stopped(server: SimulatedServer): Promise<void> {
    const { ledger } = this.#world;
    try {
      await server.stop();
    } catch (error) {
      if (server.process.lives) ledger.fail(`a server does not stop: ${String(error)}`);
    }
    if (!server.process.lives) return;
    this.#die("kill", "stopped");
  }

  /** No more trouble: what is broken is whole again. A server starts, if there is none. */
  relent(): void {
    this.isQuiet = true;
    this.#lastOperation = null;
    this.#faultyUntil = 0;
    this.#setWall(0);
    if (this.#process === null) this.#startLater(1);
  }

  /** Whether no server runs, and none starts. */
  get isDown(): boolean {
    return this.#process === null;
  }

  #strike(death: Death): void {
    const { random } = machine();
    if (random.chance(this.#world.settings.troubles.inTheMiddle)) {
      this.#lastOperation ??= { countdown: random.whole(1, 12), death };
    } else this.#die(death);
  }

  /** From this moment on the process does nothing any more. */
  #die(death: Death, how: string = death): void {
    const process = this.#process;
    if (process === null || !process.lives) return;
    this.#world.ledger.count(how);
    process.isAlive = false;
    this.#dead = death;
  }

  /** After the step in which it died. */
  #bury(): void {
    const { ledger } = this.#world;
    if (this.#dead === "power loss") machine().disk.powerLoss();
    this.#dead = null;
    this.#process = null;
    this.#server = null;
    this.#isStopping = false;
    this.#lastOperation = null;
    ledger.leasesInDoubt();
    const { random } = machine();
    const hours = !this.isQuiet && random.chance(0.05);
    this.#startLater(hours ? 3_600_000 * random.next() : 3_000 * random.next());
  }

  #startLater(ms: number): void {
    // A clock that jumped is set right before a start, more or less.
    if (!this.isQuiet && this.#world.settings.troubles.jump > 0) this.#setWall(2_000 * (machine().random.next() - 0.5));
    this.#due?.cancel();
    this.#due = machine().as(this.#self, () => machine().after(ms, () => this.start()));
  }

  #stall(): void {
    const { troubles } = this.#world.settings;
    if (this.#isStopping) return; // so that it can be said how long a stop may take
    const { random, time } = machine();
    this.#world.ledger.count("stall");
    const { running } = this.#world.ledger.leases;
    if (running.length > 0 && random.chance(0.4)) {
      const { worker, until } = random.pick(running);
      worker.stalledUntil = this.#sweepAfter(until) - 0.5 * random.next();
      return;
    }
    const process = random.pick([...(this.#server?.workers ?? []), this.#process!]);
    process.stalledUntil = time + troubles.stallMs * random.next();
  }

  /** When the leases that run out at `time` are taken away: who wakes just then asks for them at the same moment. */
  #sweepAfter(time: number): number {
    const { sweptAt } = this.#world.ledger.leases;
    return sweptAt + Math.ceil((time - sweptAt) / SWEEP_EVERY_MS) * SWEEP_EVERY_MS;
  }

  /** The server looks for files that nobody names, as it does every five minutes: few schedules last so long. */
  #scan(): void {
    const { process, sweeper } = this.#server ?? {};
    if (process !== undefined) machine().as(process, () => machine().after(0, () => void sweeper!.scan()));
  }

  /** Only a process that runs: it must not mind. */
  #jump(): void {
    if (this.#server === null) return;
    this.#setWall(86_400_000 * (machine().random.next() - 0.5));
    this.#world.ledger.count("clock jump");
  }

  #breakDisk(): void {
    const { random, time } = machine();
    this.#faults = random.pick([["EIO"], ["ENOSPC"], ["EIO", "ENOSPC"]]);
    this.#faultyUntil = time + random.pick([1, 100, 5_000]);
    this.#world.ledger.count("disk fault");
  }

  #setWall(offset: number): void {
    machine().wallOffset = Date.UTC(2026, 0, 1) + offset;
  }

  #beforeOperation(operation: Operation): void {
    const { random, current } = machine();
    const process = this.#process;
    if (process === null || (current !== process && current.host !== process)) return;
    if (!process.lives) throw new Error("The process has died.");
    if (!operation.changes) return;
    if (this.#lastOperation !== null && --this.#lastOperation.countdown <= 0) {
      this.#world.ledger.count("death in the middle of an operation");
      this.#die(this.#lastOperation.death);
      throw new Error("The process dies here."); // no fault of the disk's, which would lose what it could not fsync
    }
    if (this.#faultyUntil > machine().time) this.#perhapsFail(operation);
    if (operation.name === "fsync" && random.chance(this.isQuiet ? 0 : this.#world.settings.troubles.slowSync)) {
      machine().linger(200 * random.next());
    }
  }

  #perhapsFail(operation: Operation): void {
    const { random } = machine();
    const code = random.pick(this.#faults);
    const needsRoom = operation.name === "write" || operation.name === "open" || operation.name === "mkdir";
    if (code === "ENOSPC" && !needsRoom) return;
    if (code === "EIO" && operation.name !== "write" && operation.name !== "fsync") return;
    if (!random.chance(0.5)) return;
    this.#world.ledger.count("disk operation failed");
    this.#world.ledger.leasesInDoubt();
    throw fault(code, operation);
  }
}

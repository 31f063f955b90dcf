/** What differs between schedules: how the server is configured, and how bad the world is. Each has some troubles and not others. */
import type { Random } from "../random.ts";

/** What goes wrong in a schedule, as chances for each step or each occasion. */
export interface Troubles {
  /** The process is killed, the power fails, the server is stopped and started. */
  readonly kill: number;
  readonly powerLoss: number;
  readonly stop: number;
  /** A kill waits for one of the next operations of the disk, in place of striking between two steps. */
  readonly inTheMiddle: number;
  /** A worker, or all of the process, stands still. */
  readonly stall: number;
  /** The server looks through its files. */
  readonly scan: number;
  readonly stallMs: number;
  /** The wall clock jumps. */
  readonly jump: number;
  /** Operations of the disk fail, for a while. */
  readonly diskFault: number;
  /** An fsync takes long. */
  readonly slowSync: number;
  /** A message between client and server is lost, or comes twice. */
  readonly lost: number;
  readonly twice: number;
  /** The same for webhooks, and how often a receiver is in trouble. */
  readonly webhookLost: number;
  readonly receiverBad: number;
  /** How runs end that do not end well. */
  readonly runCrash: number;
  readonly runError: number;
  readonly runRetryable: number;
  readonly runHangs: number;
  /** A run minds no signal. */
  readonly deaf: number;
}

export interface Settings {
  readonly leaseMs: number;
  readonly stopGraceMs: number;
  readonly resultTtlSeconds: number;
  readonly resultTtlLimitSeconds: number;
  readonly concurrency: number;
  readonly clients: number;
  /** Longest pause of a client between two calls, ms. */
  readonly thinkMs: number;
  /** How long a run takes, at most, unless it hangs, ms. */
  readonly runMs: number;
  readonly troubles: Troubles;
}

export function drawSettings(random: Random): Settings {
  /** About two of three troubles are there at all. */
  const trouble = (most: number): number => (random.chance(0.65) ? most * random.next() : 0);
  return {
    leaseMs: random.pick([1_500, 1_500, 3_000, 10_000, 30_000]),
    stopGraceMs: random.pick([0, 500, 3_000]),
    resultTtlSeconds: random.pick([15, 60, 300, 3_600]),
    resultTtlLimitSeconds: 3_600,
    concurrency: random.whole(1, 4),
    clients: random.whole(3, 8),
    thinkMs: random.pick([20, 100, 500]),
    runMs: random.pick([50, 500, 4_000, 12_000]),
    troubles: {
      kill: trouble(0.008),
      powerLoss: trouble(0.008),
      stop: trouble(0.003),
      inTheMiddle: 0.6,
      stall: trouble(0.02),
      scan: trouble(0.02),
      stallMs: random.pick([500, 5_000, 40_000]),
      jump: trouble(0.005),
      diskFault: trouble(0.006),
      slowSync: trouble(0.3),
      lost: trouble(0.2),
      twice: trouble(0.1),
      webhookLost: trouble(0.4),
      receiverBad: trouble(0.5),
      runCrash: trouble(0.3),
      runError: trouble(0.2),
      runRetryable: trouble(0.3),
      runHangs: trouble(0.1),
      deaf: trouble(0.5),
    },
  };
}

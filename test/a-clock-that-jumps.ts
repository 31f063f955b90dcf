/** Loaded before a server (`--import`): its wall clock is off by as many milliseconds as the file says that the environment names. */
import { readFileSync } from "node:fs";

const RealDate = Date;
const real = Date.now;
Date.now = () => real() + Number(readFileSync(process.env["CLOCK_FILE"]!, "utf8"));
globalThis.Date = class extends RealDate {
  constructor(...args: [] | [number]) {
    if (args.length === 0) super(RealDate.now());
    else super(...args);
  }
} as DateConstructor;

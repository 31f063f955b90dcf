/** A model that does all a model should not. */
import { spawn, spawnSync } from "node:child_process";
import { writeFileSync, writeSync } from "node:fs";
import { defineModel } from "../../../src/model/model.ts";

let company = 0;

export default defineModel({
  name: "unruly",
  output: "text",
  input: { type: "object" },
  async run(input: Readonly<Record<string, string>>, { log, signal }) {
    switch (input["do"]) {
      case "abort":
        return process.abort();
      case "exit":
        return process.exit(3);
      case "throw later":
        setTimeout(() => {
          throw new Error("nobody catches this");
        });
        return await never();
      case "reject later":
        void Promise.reject(new Error("nor this"));
        return await never();
      case "garble":
        writeSync(4, 'this is no message\n{"t":"nor this"}\n');
        return await never();
      case "forget the time":
        writeSync(4, '{"t":"ended","n":1,"outcome":{"type":"completed","output":"no time"}}\n');
        return await never();
      case "answer a ring": {
        const ring: { self?: unknown } = {};
        ring.self = ring;
        return ring as never;
      }
      case "answer a BigInt":
        return { output: 1n } as never;
      case "print":
        process.stdout.write('{"t":"ended","n":1,"outcome":{"type":"completed","output":"forged"}}\n');
        process.stderr.write("a warning\nhalf a line");
        process.stderr.write(", the other half\n");
        process.stdout.write("x".repeat(1_000_000));
        process.stdout.write("\nafter the long line\n");
        await new Promise<void>((resolve) => process.stdout.write(Buffer.from([0xff, 0xfe, 0x0a]), () => resolve()));
        return "printed";
      case "count the company": {
        company += 1;
        await new Promise(setImmediate); // what came in the same breath has begun
        const counted = company;
        company -= 1;
        return String(counted);
      }
      case "wait":
        log("waiting");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return "stopped";
      case "spin":
        log("spinning");
        await new Promise((resolve) => setTimeout(resolve)); // let the log line out
        for (;;);
      case "block":
        log("blocked");
        await new Promise((resolve) => setTimeout(resolve));
        spawnSync("sleep", ["1000"]);
        return "woken";
      case "ignore":
        log("ignoring");
        return await never();
      case "ignore all":
        process.on("SIGTERM", () => {});
        log("deaf");
        return await never();
      case "start another": {
        const child = spawn("sleep", ["1000"], { stdio: "inherit" });
        writeFileSync(input["pids"]!, `${process.pid} ${child.pid}`);
        log("started");
        if (input["next"] === "spin") {
          await new Promise((resolve) => setTimeout(resolve));
          for (;;);
        }
        return await never();
      }
      case "name the process":
        return `${process.pid} ${process.env["INFERQ_API_KEYS"] ?? "no keys"} ${process.env["INFERQ_DATA"] ?? "no marker"}`;
      default:
        return "fine";
    }
  },
});

function never(): Promise<never> {
  return new Promise(() => setInterval(() => {}, 60_000));
}

/** What is tortured: a server with short times, on a disk that is kept as full as the round wants it. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [{ module: "./model.ts", processes: 2 }],
  leaseSeconds: 2,
  stopGraceSeconds: 1,
  diskReserveBytes: Number(process.env["TORTURE_RESERVE"] ?? 0),
  allowPrivate: ["webhook"],
});

/** The mock, on a server that waits for no run when it stops. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: [{ module: "inferq/mock-inference", concurrency: 64 }],
  stopGraceSeconds: 0,
});

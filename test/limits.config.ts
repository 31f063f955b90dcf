/** The mock, on a server whose keys may have five requests unfinished, and that waits for no run when it stops. */
import { defineConfig } from "inferq";

export default defineConfig({
  models: ["inferq/mock-inference"],
  keyRequestsInFlight: 5,
  stopGraceSeconds: 0,
});

/** A model that kills the server, with room for neighbours. */
import { defineConfig } from "inferq";

export default defineConfig({ models: [{ module: "./models/host-killer.ts", processes: 4 }] });

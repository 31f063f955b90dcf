/** The mock with one place: what comes second waits. */
import { defineConfig } from "inferq";

export default defineConfig({ models: [{ module: "inferq/mock-inference", concurrency: 1 }] });

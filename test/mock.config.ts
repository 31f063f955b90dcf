/** Only the mock: what tests of the server itself serve. */
import { defineConfig } from "inferq";

export default defineConfig({ models: [{ module: "inferq/mock-inference", concurrency: 64 }] });

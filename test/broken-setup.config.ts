/** One model that cannot be set up beside one that can. */
import { defineConfig } from "inferq";

export default defineConfig({ models: ["./models/broken-setup.ts", "inferq/mock-inference"] });

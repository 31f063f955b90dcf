/** Only a model that cannot be set up. */
import { defineConfig } from "inferq";

export default defineConfig({ models: ["./models/broken-setup.ts"] });

/** A model that uses up its attempts at once, under the name that the guide's page shows. */
import { defineConfig } from "inferq";

export default defineConfig({ models: [{ module: "./models/unwilling.ts", name: "mock-inference" }] });

import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["@inferq/source"] },
  ssr: { resolve: { conditions: ["@inferq/source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts"],
    pool: "forks",
    execArgv: ["--conditions=@inferq/source"],
    testTimeout: 30_000,
  },
});

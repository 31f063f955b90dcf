import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CONFIGURATION_PAGE, configurationPage } from "../scripts/configuration-page.ts";

test("docs/reference/configuration.md says what the config's schema and docstrings say", () => {
  expect(readFileSync(CONFIGURATION_PAGE, "utf8")).toBe(configurationPage());
});

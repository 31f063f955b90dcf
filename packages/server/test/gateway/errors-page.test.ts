import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ERRORS } from "../../src/core/errors.ts";

test("docs/errors.md is the table of errors", async () => {
  const page = await readFile(new URL("../../../../docs/errors.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d+) \| (.*?) \| (.+?) \|$/gm)];
  const onPage = rows.map(([, code, status, sentence]) => [code, Number(status), sentence!.replaceAll("\\|", "|")]);
  const inCode = Object.entries(ERRORS).map(([code, { status, sentence }]) => [code, status, sentence]);
  expect(onPage).toEqual(inCode);
});

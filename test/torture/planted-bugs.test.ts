/** A simulation that finds nothing proves nothing: bugs that break a promise are planted into the server's text, and it must find each. */
import { expect, test } from "vitest";
import { BUGS } from "../../torture/planted/bugs.ts";
import { find } from "../../torture/planted/find.ts";

test.each(BUGS)("$name", { timeout: 600_000 }, async (bug) => {
  expect(await find(bug, bug.firstSeed, 1_000)).toMatchObject({ broken: expect.any(String) as string });
});

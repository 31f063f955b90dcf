/**
 * The short form of `npm run torture -- disk`: a small file system is filled to the last byte under load. Clients
 * are answered or refused in words that they can act on, nothing accepted is lost or runs twice, and service is
 * back within 5 s of space.
 */
import { expect, test } from "vitest";
import { SHORT } from "../../torture/disk/rounds.ts";
import { torture, whyNoDisk } from "../../torture/disk/run.ts";

const reason = whyNoDisk();

test.skipIf(reason !== undefined)(
  `a server on a full disk refuses, keeps what it has, and goes on by itself [${reason ?? "in a file system of its own"}]`,
  async () => {
    const { code, output } = await torture(SHORT);
    expect(output).not.toContain("BROKEN");
    expect(output).toContain("a full disk: a submit is accepted after");
    expect(code).toBe(0);
  },
  120_000,
);

/** A person's first minutes: the first start's key, further keys, and what a mistyped command answers. */
import { expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { type RealServer, realServer } from "./real-server.ts";

const OPTIONS = { config: "test/mock.config.ts", env: { INFERQ_API_KEYS: "" } };
/** As public clients check it before they send it (in-practice, "Auth"). */
const KEY_FORM = /\b(sg_|SG_)[A-Za-z0-9]{12,}\b/;

async function statusWith(server: RealServer, key: string): Promise<number> {
  return (await fetch(`${server.base}/v2/models`, { headers: { "x-api-key": key } })).status;
}

async function welcome(server: RealServer): Promise<string> {
  await server.ready();
  return server.output();
}

test("the first start makes a key and shows it this once; its curl line works", async () => {
  using directory = temporaryDirectory();
  let key = "";
  {
    await using server = await realServer({ ...OPTIONS, directory: directory.path });
    const output = await welcome(server);
    key = KEY_FORM.exec(output)![0];
    expect(await statusWith(server, key)).toBe(200);
    expect(output).toContain(directory.path);
    await server.said(/"audit":"key_created","key":"first","owner":"first","by":"start"/);
    expect(output).toContain("mock-inference");
    expect(output).toMatch(new RegExp(`curl -H "x-api-key: ${key}" .* ${server.base}/v2/mock-inference`));
  }
  await using again = await realServer({ ...OPTIONS, directory: directory.path });
  const output = await welcome(again);
  expect(output).not.toMatch(KEY_FORM);
  expect(output).toContain("npm run inferq -- keys create");
  expect(await statusWith(again, key)).toBe(200);
});

test("a key made beside a running server works there; it is listed, and shown nowhere again", async () => {
  await using server = await realServer(OPTIONS);
  const where = ["--data-dir", server.directory, "--config", "test/mock.config.ts"];
  const made = await inferq(["keys", "create", "--name", "ci", "--owner", "team", ...where]);
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sg_[0-9a-f]{32}\n$/) as string });
  expect(await statusWith(server, made.stdout.trim())).toBe(200);

  const { stdout } = await inferq(["keys", "list", ...where]);
  expect(stdout).toMatch(/^ci +team +submit,read +all .* good$/m);
  expect(stdout).not.toMatch(KEY_FORM);

  const twice = await inferq(["keys", "create", "--name", "ci", ...where]);
  expect(twice).toMatchObject({ code: 1, stderr: "There is a key named ci already. Choose another name.\n" });
});

test("help, the version, and commands that do not exist", async () => {
  expect(await inferq(["--help"])).toMatchObject({ code: 0, stdout: expect.stringContaining("keys create") as string });
  expect(await inferq(["--version"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
  });
  const unknown = await inferq(["serve"]);
  expect(unknown.stderr).toMatch(
    /^Unknown command "serve"; expected start, keys create, keys list, keys revoke, keys rotate, dead-letters, dead-letters show, dead-letters replay\. See .* --help\.\n$/,
  );
  expect(unknown.code).toBe(2);
  const flag = await inferq(["start", "--prot", "1"]);
  expect(flag.stderr).toMatch(/^start: Unknown option '--prot'.*\n$/);
  expect(flag.code).toBe(2);
});

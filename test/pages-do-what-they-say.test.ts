/** A reader pastes what README, the guide and the models' pages show, and gets what stands beside it. */
import { cpSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, afterAll, beforeAll, expect, test } from "vitest";
import { temporaryDirectory } from "./command-line.ts";
import { ROOT, blockWith, blocks, missing, paste } from "./pages.ts";
import { type RealServer, realServer } from "./real-server.ts";

const GUIDE = "docs/guide/getting-started.md";
const IMAGES = "docs/models/images";
/** ffmpeg and the image libraries differ between machines; what they draw does not. */
const SIZE_TOLERANCE = 0.3;

let server: RealServer;
beforeAll(async () => {
  server = await realServer(); // all models of the default config
});
afterAll(() => server[Symbol.asyncDispose]());

type Body = Record<string, unknown>;

function needs({ skip }: TestContext, ...programs: readonly string[]): void {
  const reason = missing("bash", "curl", ...programs);
  skip(reason !== undefined, reason);
}

/** That `made` is what the page shows. */
function expectPicture(made: string, shown: string): void {
  const expected = statSync(join(ROOT, shown)).size;
  expect(Math.abs(statSync(made).size / expected - 1), `${made} beside ${shown}`).toBeLessThan(SIZE_TOLERANCE);
  expect(readFileSync(made).subarray(0, 4)).toEqual(readFileSync(join(ROOT, shown)).subarray(0, 4));
}

test("README: the first request gives the picture that stands below it", async (context) => {
  needs(context);
  using directory = temporaryDirectory();
  const submitted = JSON.parse(await paste(blockWith("README.md", "export KEY", "sh"), server, directory.path)) as Body;
  const shown = JSON.parse(blockWith("README.md", "response_url", "json")) as Body;
  expect(Object.keys(submitted)).toEqual(Object.keys(shown));
  const result = await server.result(String(submitted["request_id"]));
  expect(result).toMatchObject({ status: "COMPLETED" });

  const [, picture] = /\]\((docs\/models\/images\/[^)]+)\)/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))!;
  const file = join(directory.path, "picture");
  await paste(`curl -s "${String(result["output"])}" -o ${file}`, server, directory.path);
  expectPicture(file, picture!);
});

test("getting started: a request is submitted, polled and fetched", async (context) => {
  needs(context);
  const [, submit, status, result] = blockWith(GUIDE, "export KEY", "sh").split(/\n(?=curl)/);
  const curl = async (line: string, id = ""): Promise<Body> =>
    JSON.parse(await paste(line.replaceAll("<id>", id), server, ROOT)) as Body;
  const id = String((await curl(submit!))["request_id"]);
  expect(["QUEUED", "PROCESSING", "COMPLETED"]).toContain((await curl(status!, id))["status"]);
  await server.result(id);
  expect(await curl(result!, id)).toMatchObject({ status: "COMPLETED", prompt: "a red rose" });
});

test("getting started: one call waits for the picture, and a form takes a file", async (context) => {
  needs(context);
  using directory = temporaryDirectory();
  await paste(blockWith(GUIDE, "-o rose.jpg", "sh"), server, directory.path);
  expect(readFileSync(join(directory.path, "rose.jpg")).subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));

  cpSync(join(ROOT, IMAGES, "person-matte-in.jpg"), join(directory.path, "photo.jpg"));
  const submitted = await paste(blockWith(GUIDE, "@photo.jpg", "sh"), server, directory.path);
  const result = await server.result(String((JSON.parse(submitted) as Body)["request_id"]));
  expect(result).toMatchObject({ status: "COMPLETED" });
});

test("getting started: a text is read while it is made", async (context) => {
  needs(context);
  const [submit, poll] = blockWith(GUIDE, "?partial=1", "sh").split(/\n(?=curl)/);
  const shown = JSON.parse(blockWith(GUIDE, '"partial": true', "json")) as Body;
  const id = String((JSON.parse(await paste(submit!, server, ROOT)) as Body)["request_id"]);
  let body: Body = {};
  while (!body["output"]) body = JSON.parse(await paste(poll!.replace("<id>", id), server, ROOT)) as Body;
  expect(Object.keys(body)).toEqual(Object.keys(shown));
  expect(shown["output"] as string).toContain((body["output"] as string).trimEnd());
  expect(body).toMatchObject({ status: "PROCESSING", partial: true });
  await server.fetch(`/v2/requests/${id}/cancel`, { method: "POST" });
});

test("getting started: keys are made and listed, and work at once", async (context) => {
  needs(context);
  const keys = blockWith(GUIDE, "keys create", "sh");
  const output = await paste(keys, server, ROOT, { INFERQ_DATA_DIR: server.directory });
  const made = output.match(/^sg_[0-9a-f]{32}$/gm)!;
  expect(made).toHaveLength(3);
  expect(output).toMatch(/^ci +ci +submit,read /m);
  expect(output).toMatch(/^ci-2 +ci +submit,read /m);
  for (const key of made) {
    expect((await fetch(`${server.base}/v2/models`, { headers: { "x-api-key": key } })).status).toBe(200);
  }
}, 90_000); // npm starts four times

test.for(["anime4k-x2", "anime4k-video-x2", "person-matte", "emoji-scene"])(
  "docs/models/%s.md: its commands make its pictures",
  async (model, context) => {
    const page = `docs/models/${model}.md`;
    const commands = blocks(page, "bash").join("\n");
    needs(context, ...(commands.includes("ffmpeg") ? ["ffmpeg"] : []));

    using directory = temporaryDirectory();
    const images = join(directory.path, IMAGES);
    cpSync(join(ROOT, IMAGES), images, { recursive: true });
    const made = readdirSync(images).filter((name) => name.startsWith(`${model}-`) && !name.includes("-in."));
    for (const name of made) rmSync(join(images, name));
    await paste(commands, server, directory.path);
    expect(made).not.toHaveLength(0);
    for (const name of made) {
      expect(readFileSync(join(ROOT, page), "utf8")).toContain(`images/${name}`);
      expectPicture(join(images, name), join(IMAGES, name));
    }
  },
);

test("docs/models/text-summary.md: its command answers what the page quotes", async (context) => {
  needs(context);
  const [command] = blocks("docs/models/text-summary.md", "bash");
  const quoted = readFileSync(join(ROOT, "docs/models/text-summary.md"), "utf8").match(/^> .*$/gm)!;
  const answer = JSON.parse(await paste(command!, server, ROOT)) as Body;
  expect(answer["output"]).toBe(quoted.map((line) => line.slice(2)).join(" "));
});

test("docs/models/ocr.md: its command reads what the page shows", async (context) => {
  needs(context);
  const [command] = blocks("docs/models/ocr.md", "bash");
  const [text] = blocks("docs/models/ocr.md", "text");
  const answer = JSON.parse(await paste(command!, server, ROOT)) as Body;
  expect(answer["output"]).toBe(text!.trim());
});

/** The wall clock of a real server, of its threads and of its models jumps by a year, forth and back; and servers start by such clocks. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inferq, temporaryDirectory } from "./command-line.ts";
import { realServer, type RealServer } from "./real-server.ts";

const YEAR_MS = 365 * 86_400_000;
const MOCK = join(import.meta.dirname, "../packages/server/src/model/mock-inference/model.ts");
const JUMPS = join(import.meta.dirname, "a-clock-that-jumps.ts");

test("a clock that jumps moves no lease and deletes nothing; a start by a wrong one says so", async () => {
  using directory = temporaryDirectory();
  const data = join(directory.path, "data");
  const [first, second] = [join(directory.path, "first"), join(directory.path, "second")];
  const clock = join(directory.path, "clock");
  const config = join(directory.path, "config.mjs");
  const patient = `export default { name: "patient", output: "text", input: { type: "object", properties: { until: { type: "string" } } }, async run({ until }) {
    while (until !== undefined && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 10));
    return "well";
  } };`;
  writeFileSync(join(directory.path, "patient.mjs"), `import { existsSync } from "node:fs";\n${patient}`);
  writeFileSync(config, `export default { models: ["./patient.mjs", ${JSON.stringify(MOCK)}], leaseSeconds: 1 };`);
  writeFileSync(clock, "0");
  const env = { NODE_OPTIONS: `--import=${JUMPS}`, CLOCK_FILE: clock };

  let [ran, waited] = ["", ""];
  {
    await using server = await realServer({ config, directory: data, env });
    await server.ready();
    const made = await inferq(["keys", "create", "--name", "short", "--expires", "1h"], { INFERQ_DATA_DIR: data });
    const key = made.stdout.trim();
    const { request_id: done } = await server.submit("mock-inference", { kind: "image" });
    const { output } = await server.result(done);
    const { request_id: runs } = await server.submit("patient", { until: first });
    while ((await status(server, runs)) !== "PROCESSING");
    const { request_id: waits } = await server.submit("patient", {});

    for (const jump of [YEAR_MS, -YEAR_MS]) {
      writeFileSync(clock, String(jump));
      // Longer than the lease, its heartbeats and a sweep: the server itself waits.
      const view = await server.fetch(`/v2/requests/${runs}/status?wait=3`);
      expect(await view.json()).toMatchObject({ status: "PROCESSING" });
      expect(await status(server, waits)).toBe("QUEUED");
      expect(await status(server, done)).toBe("COMPLETED");
      expect((await fetch(String(output))).status).toBe(200);
      expect((await server.fetch("/v2/requests", { headers: { "x-api-key": key } })).status).toBe(200);
      const { request_id: quick } = await server.submit("mock-inference", { kind: "text" });
      expect(await server.result(quick)).toMatchObject({ status: "COMPLETED" });
    }
    writeFileSync(clock, "0");
    writeFileSync(first, "");
    expect(await server.result(runs)).toMatchObject({ status: "COMPLETED" });
    const timeline = (await (await server.fetch(`/v2/requests/${runs}/timeline`)).json()) as {
      events: { event: string }[];
    };
    expect(timeline.events.map(({ event }) => event)).toEqual(["submitted", "leased", "completed"]);
    expect(await server.result(waits)).toMatchObject({ status: "COMPLETED" });

    ran = (await server.submit("patient", { until: second })).request_id;
    waited = (await server.submit("patient", {})).request_id;
    while ((await status(server, ran)) !== "PROCESSING");
    await server.kill();
  }
  writeFileSync(second, "");
  writeFileSync(clock, String(-YEAR_MS));
  {
    await using server = await realServer({ config, directory: data, env });
    await server.said("the clock is behind the newest request");
    for (const id of [ran, waited]) expect(await server.result(id)).toMatchObject({ status: "COMPLETED" });
  }
  writeFileSync(clock, String(YEAR_MS));
  await using server = await realServer({ config, directory: data, env });
  await server.said("the newest request is old");
  expect((await server.fetch(`/v2/requests/${ran}/status`)).status).toBe(404);
}, 60_000);

async function status({ fetch }: Pick<RealServer, "fetch">, id: string): Promise<string> {
  const answer = await fetch(`/v2/requests/${id}/status`);
  return ((await answer.json()) as { status: string }).status;
}

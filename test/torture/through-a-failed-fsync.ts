/** Run by a test: writes before, while and after the fsyncs of its disk fail. Each line on stdout waits for one on stdin. */
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { systemClock } from "../../packages/server/src/core/clock.ts";
import { sqliteKeys } from "../../packages/server/src/store/sqlite/keys.ts";
import { sqliteStore } from "../../packages/server/src/store/sqlite/sqlite-store.ts";
import { submissionMaker } from "../../packages/server/src/testing/submission.ts";

const [what, directory = ""] = process.argv.slice(2);
if (what === "keys") await changeKeys();
else await submit();
process.exit();

async function changeKeys(): Promise<void> {
  const keys = sqliteKeys(directory, systemClock());
  keys.rotateSecret("alice", 0);
  keys.isFirstUse("0".repeat(64));
  keys.refresh(); // writes the first use
  await say("fail");
  try {
    keys.rotateSecret("alice", 0);
  } catch {
    // As it must.
  }
  await say("work");
  keys.rotateSecret("alice", 0);
  await say(keys.secretsOf("alice")[0]!.secret);
}

async function submit(): Promise<void> {
  const clock = systemClock();
  const submission = submissionMaker(clock);
  const store = await sqliteStore({ directory, clock });
  if (what === "store") {
    await store.enqueue(submission());
    await say("fail");
    await store.enqueue(submission()).catch(() => {}); // refused, as it must be
    await say("work");
  }
  for (;;) {
    const last = submission();
    const answer = await store.enqueue(last).catch(() => wait(10)); // until the file is open again
    if (answer) return await say(last.id);
  }
}

async function say(line: string): Promise<void> {
  console.log(line);
  await once(process.stdin, "data");
}

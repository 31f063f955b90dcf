/** Every body a webhook can have: each kind of result and each way to fail, full and thin, as test/golden has them. */
import { expect, test } from "vitest";
import type { Artifact, Result } from "../../src/core/request.ts";
import type { Delivery, Outcome } from "../../src/store/deliveries.ts";
import { webhookBody } from "../../src/wire/webhook.ts";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const SUBMITTED = Date.UTC(2026, 0, 31, 12, 0, 0);

function file(name: string, contentType: string, size: number): Artifact {
  return { key: `${ID}/1/${name}`, contentType, size, fileName: name };
}

function completed(result: Result): Outcome {
  return {
    model: "a-model",
    status: "COMPLETED",
    createdAt: SUBMITTED,
    startedAt: SUBMITTED + 25.989,
    finishedAt: SUBMITTED + 13_085.989,
    inferenceMs: 13_060,
    result,
    failure: null,
  };
}

function failed(failure: Outcome["failure"], ran: boolean): Outcome {
  return {
    ...completed({ kind: "text", text: "", reasoning: null }),
    status: "FAILED",
    startedAt: ran ? SUBMITTED + 25.989 : null,
    inferenceMs: ran ? 13_060 : null,
    result: null,
    failure,
  };
}

function delivery(body: Delivery["body"], outcome: Outcome): Delivery {
  return {
    id: ID,
    owner: "alice",
    event: outcome.status === "COMPLETED" ? "completed" : "failed",
    url: "https://client.example/hook",
    createdAt: outcome.finishedAt,
    state: "pending",
    tries: 0,
    dueAt: outcome.finishedAt,
    askedAt: outcome.finishedAt,
    attempts: [],
    body,
    base: "https://api.example",
    outcome,
  };
}

async function expectGolden(name: string, body: Delivery["body"], outcome: Outcome): Promise<void> {
  const text = webhookBody(delivery(body, outcome));
  expect(text).toBe(JSON.stringify(JSON.parse(text))); // compact, as JSON.stringify writes it
  const shown = `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
  await expect(shown).toMatchFileSnapshot(`../golden/webhook-${name}.json`);
}

const IMAGE = completed({
  kind: "image",
  files: [file("one.jpg", "image/jpeg", 868_446), file("two.jpg", "image/jpeg", 4)],
  seed: "123",
  prompt: 'a "red" rose – on a wooden table',
});
const CANCELLED = failed({ code: "cancelled", message: "The request was cancelled." }, false);

test("a completed image, video, audio and text, with what their results' URLs answer", async () => {
  await expectGolden("image", "full", IMAGE);
  await expectGolden("video", "full", completed({ kind: "video", file: file("output.mp4", "video/mp4", 57_576) }));
  await expectGolden("audio", "full", completed({ kind: "audio", file: file("output.wav", "audio/wav", 44) }));
  const text = { kind: "text", text: 'Line\n"two" – 😀', reasoning: "Six by nine." } as const;
  await expectGolden("text", "full", completed(text));
});

test("a request that failed while it ran, was cancelled, waited too long, or expired, by its code", async () => {
  await expectGolden("failed", "full", failed({ code: "model_error", message: 'No "words" – at all.' }, true));
  await expectGolden("cancelled", "full", CANCELLED);
  const late = "No worker was free before the time the request was to start by.";
  await expectGolden("start-timeout", "full", failed({ code: "start_timeout", message: late }, false));
  await expectGolden(
    "expired",
    "full",
    failed({ code: "expired", message: "The request expired before it had an outcome." }, false),
  );
});

test("a thin one says where to look, and why it failed", async () => {
  await expectGolden("thin", "thin", IMAGE);
  await expectGolden("thin-failed", "thin", CANCELLED);
});

test("a text that is too large for it is not there, and it says so", async () => {
  const text = completed({ kind: "text", text: file("output.txt", "text/plain", 70_000), reasoning: "Six by nine." });
  await expectGolden("truncated", "full", text);
  expect(JSON.parse(webhookBody(delivery("thin", text)))["data"]).not.toHaveProperty("truncated");
});

test("an outcome of which no reason is known is told all the same", () => {
  const unknown = failed(null, false);
  for (const body of ["full", "thin"] as const) {
    expect(JSON.parse(webhookBody(delivery(body, unknown)))).toMatchObject({
      type: "request.failed",
      data: { request_id: ID, status: "FAILED", error_code: null },
    });
  }
});

test("the same facts make the same bytes, whatever became of the tries before", () => {
  const first = delivery("full", IMAGE);
  const attempts = [{ at: SUBMITTED, tookMs: 3, status: 500, error: "It answered 500." }];
  expect(webhookBody({ ...first, tries: 7, dueAt: 9, attempts })).toBe(webhookBody(first));
});

/** The short form of `npm run torture -- fuzz`: bad input of every kind against a real server. */
import { expect, test } from "vitest";
import { fuzz } from "../../torture/fuzz/fuzz.ts";
import { growthOf } from "../../torture/fuzz/aftermath.ts";
import { NotHttp, readAnswer } from "../../torture/fuzz/answers.ts";

test("every route answers every input as documented, leaves nothing behind and keeps nobody waiting", async () => {
  const { faults, sent } = await fuzz({ requests: 8_000, seed: 20_261_123, isShort: true });
  expect(faults).toEqual([]);
  expect(sent).toBeGreaterThan(15_000);
}, 300_000);

test.each([
  ["a header that the client made up, in two", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a\rb\r\n\r\n"],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n"],
  ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a body that breaks off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"],
  ["a chunk that is longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"],
  ["no end", "HTTP/1.1 200 OK\r\n\r\nab"],
])("an answer with %s is seen", (_, bytes) => {
  expect(() => readAnswer(bytes, "GET", true)).toThrow(NotHttp);
});

test("memory that grows is told from memory that comes and goes", () => {
  expect(growthOf("resident", [100, 200, 260, 240, 250, 245, 260, 241, 255])).toBeUndefined();
  expect(growthOf("resident", [100, 200, 260, 240, 250, 245, 300, 350, 400])).toMatch(
    /^resident memory grew from 240 to 300 MB/,
  );
  // 50 bytes of each of a million requests, in twelve parts.
  const leak = Array.from({ length: 12 }, (_, part) => 60 + (part * 50) / 12 + (part % 2));
  expect(growthOf("collected", leak)).toMatch(/^collected memory grew/);
  expect(
    growthOf(
      "collected",
      leak.map((_, part) => 60 + (part % 4)),
    ),
  ).toBeUndefined();
});

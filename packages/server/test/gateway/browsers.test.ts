/** Calls from pages of other origins (CORS). */
import { afterEach, expect, test } from "vitest";
import { type Gateway, send, startGateway } from "./harness.ts";

let gateway: Gateway;
afterEach(async () => await gateway[Symbol.asyncDispose]());

const PREFLIGHT = {
  origin: "https://app.example",
  "access-control-request-method": "POST",
  "access-control-request-headers": "x-api-key,content-type",
};

test("no origin may call the API unless it is configured", async () => {
  gateway = await startGateway();
  const answer = await send(gateway.port, "OPTIONS", "/v2/picture", PREFLIGHT);
  expect(answer.status).toBe(204);
  expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
});

test("a configured origin may, asks without a key, and may read our headers", async () => {
  gateway = await startGateway({ corsOrigins: ["https://app.example"] });
  const preflight = await send(gateway.port, "OPTIONS", "/v2/picture", PREFLIGHT);
  expect(preflight.status).toBe(204);
  expect(preflight.headers).toMatchObject({
    "access-control-allow-origin": "https://app.example",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "x-api-key,content-type",
  });

  const origin = { origin: "https://app.example" };
  const submitted = await gateway.call("POST", "/v2/words", {}, origin);
  const path = new URL(String(submitted.json()["status_url"])).pathname;
  const refused = await send(gateway.port, "GET", path, origin);
  expect(refused.status).toBe(401);
  for (const answer of [submitted, refused, await gateway.call("GET", path, undefined, origin)]) {
    expect(answer.headers["access-control-allow-origin"]).toBe("https://app.example");
    expect(answer.headers["access-control-expose-headers"]).toContain("x-error-code");
  }

  const stranger = await gateway.call("GET", path, undefined, { origin: "https://evil.example" });
  expect(stranger.headers["access-control-allow-origin"]).toBeUndefined();
  expect(stranger.headers["vary"]).toBe("origin");
});

test("a page may list its user's requests, follow the Link, and delete one", async () => {
  gateway = await startGateway({ corsOrigins: ["https://app.example"] });
  const origin = { origin: "https://app.example" };
  const [id] = [await gateway.submit("words", {}), await gateway.submit("words", {})];
  const listed = await gateway.call("GET", "/v2/requests?limit=1", undefined, origin);
  expect(listed.headers["link"]).toContain('rel="next"');
  expect(listed.headers["access-control-expose-headers"]).toContain("link");
  const path = `/v2/requests/${id}`;
  const preflight = await send(gateway.port, "OPTIONS", path, { ...origin, "access-control-request-method": "DELETE" });
  expect(preflight.headers["access-control-allow-methods"]).toContain("DELETE");
  const deleted = await gateway.call("DELETE", path, undefined, origin);
  expect([deleted.status, deleted.headers["access-control-allow-origin"]]).toEqual([204, origin.origin]);
});

test("files may be read from any page", async () => {
  gateway = await startGateway();
  const id = await gateway.submit("words", {});
  const file = await gateway.artifact(id, "output.txt", "text/plain", Buffer.from("text"));
  const headers = { origin: "https://anybody.example" };
  const preflight = await send(gateway.port, "OPTIONS", `/files/${file.key}`, headers);
  const answer = await send(gateway.port, "GET", `/files/${file.key}`, headers);
  for (const { headers } of [preflight, answer]) expect(headers["access-control-allow-origin"]).toBe("*");
});

/** A disk that refuses, wherever on the way it does: the client is told 503 with a clear code, and nothing is left behind. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BlobStore } from "../../src/blob/blob-store.ts";
import { fsBlobStore } from "../../src/blob/fs.ts";
import { newBlobKey } from "../../src/blob/key.ts";
import { scratchDirectory } from "../scratch.ts";
import { type Answer, type Gateway, startGateway } from "./harness.ts";

type Method = Exclude<keyof BlobStore, "list">;

const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
const scratch = await scratchDirectory();
const real = fsBlobStore(join(scratch.path, "files"));
/** What fails, and with which code. */
let trouble: { readonly methods: readonly Method[]; readonly code: string } | null = null;

const troubled = <M extends Method>(method: M): BlobStore[M] => {
  const call = async (...args: unknown[]): Promise<unknown> => {
    const { methods, code } = trouble ?? { methods: [], code: "" };
    if (methods.includes(method)) throw Object.assign(new Error(`${code}: refused`), { code });
    return await (real[method] as (...all: unknown[]) => Promise<unknown>)(...args);
  };
  return call as BlobStore[M];
};
const blobs: BlobStore = {
  put: troubled("put"),
  head: troubled("head"),
  get: troubled("get"),
  localPath: troubled("localPath"),
  delete: troubled("delete"),
  deletePrefix: troubled("deletePrefix"),
  list: real.list,
};

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({}, { blobs });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const image = `data:image/png;base64,${PNG.toString("base64")}`;
const form = new FormData();
form.append("prompt", "a rose");
form.append("image", new Blob([PNG]), "a.png");

async function multipart(): Promise<[body: Buffer, headers: Record<string, string>]> {
  const encoded = new Response(form);
  return [Buffer.from(await encoded.arrayBuffer()), { "content-type": encoded.headers.get("content-type")! }];
}

/** What lies there of requests that are not. */
async function strays(known: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const id of real.list("")) if (!known.includes(id)) found.push(id);
  return found;
}

async function expectRefused(answer: Promise<Answer>, what: string): Promise<void> {
  const { status, headers } = await answer;
  expect([what, status, headers["x-error-code"], headers["retry-after"]]).toEqual([
    what,
    503,
    "store_unavailable",
    "1",
  ]);
}

test.each(["ENOSPC", "EDQUOT", "Unknown system error -122", "EIO", "EROFS", "EMFILE"])(
  "%s when files are written",
  async (code) => {
    const old = await gateway.submit("picture", { prompt: "a rose", image });
    await gateway.fail("picture", { code: "model_error", message: "No roses." });
    trouble = { methods: ["put"], code };
    const [body, headers] = await multipart();
    const large = { prompt: "x".repeat(70_000) }; // more than the queue holds
    await expectRefused(gateway.call("POST", "/v2/picture", large), "a large input");
    await expectRefused(gateway.call("POST", "/v1/picture", large), "a large input of a call that waits");
    await expectRefused(gateway.call("POST", "/v2/picture", { prompt: "a rose", image }), "a data URI");
    await expectRefused(gateway.call("POST", "/v2/picture", body, headers), "a form");
    await expectRefused(gateway.call("POST", `/v2/requests/${old}/retry`), "a retry");
    await expectRefused(gateway.call("POST", "/upload-asset", { data_urls: [image] }), "an upload");
    expect(await strays([old])).toEqual([]);
    trouble = { methods: ["put", "deletePrefix"], code };
    await expectRefused(
      gateway.call("POST", "/v2/picture", { prompt: "a rose", image }),
      "what cannot be cleared either",
    );
    await expectRefused(gateway.call("DELETE", `/v2/requests/${old}`), "a deletion");
    const wrong = await gateway.call("POST", "/v2/picture", { prompt: "a rose", image: "not an image" });
    expect(wrong.status).toBe(422);
    trouble = null;
    expect((await gateway.call("DELETE", `/v2/requests/${old}`)).status).toBe(204);
  },
);

test.each(["EIO", "EMFILE", "ENFILE"])("%s when files are read", async (code) => {
  const old = await gateway.submit("picture", { prompt: "a rose", image });
  await gateway.fail("picture", { code: "model_error", message: "No roses." });
  const long = await gateway.submit("words", {});
  const key = newBlobKey(long, 1, "txt");
  const { size } = await real.put(key, { bytes: Buffer.from("long") });
  const text = { key, contentType: "text/plain", size, fileName: "output.txt" };
  await gateway.complete("words", { kind: "text", text, reasoning: null });
  trouble = { methods: ["head", "get", "localPath"], code };
  await expectRefused(gateway.call("GET", `/v2/requests/${long}`), "a long result");
  await expectRefused(gateway.call("GET", `/files/${key}`), "a file");
  await expectRefused(
    gateway.call("POST", "/v2/picture", { prompt: "a", image: `${gateway.base}/files/${key}` }),
    "an input of this server's",
  );
  expect((await gateway.call("GET", `/v2/requests/${long}/status`)).status).toBe(200);
  trouble = null;
  expect((await gateway.call("GET", `/v2/requests/${long}`)).json()["output"]).toBe("long");
  for (const id of [old, long]) await gateway.call("DELETE", `/v2/requests/${id}`);
});

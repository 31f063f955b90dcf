/** The whole corpus, once: each nasty thing where it belongs. */
import { type Case, oneLine, oneWord, requestText } from "./case.ts";
import { HEADERS, QUERIES } from "./corpus/headers.ts";
import { EXCHANGES } from "./corpus/http.ts";
import { IDS, TARGETS } from "./corpus/ids.ts";
import { JSON_BODIES } from "./corpus/json.ts";
import { DATA_URIS, GOOD_PNG, MEDIA } from "./corpus/media.ts";
import { field, form, FORMS } from "./corpus/multipart.ts";
import { TEXTS } from "./corpus/texts.ts";
import { PRIVATE_NAMES, PRIVATE_URLS } from "./corpus/urls.ts";
import type { Context } from "./generate.ts";

const PLAIN = { mayPass: true, isForeign: false, isFramed: true, isStream: false };
const JSON_TYPE = ["Content-Type", "application/json"] as const;

/** `share`: how much of the texts that break everything each header and each parameter meets. */
export function* corpusCases(context: Context, share = 1): Generator<Case> {
  const { keys, base, operations, privatePort } = context;
  const host = ["Host", new URL(base).host] as const;
  const auth = [host, ["x-api-key", keys.good] as const];
  const post = (kind: string, path: string, body: Buffer, type = "application/json"): Case => {
    const operation = operations.find(({ name }) => name === `POST ${path.split("?", 1)[0]}`)?.name ?? null;
    const bytes = requestText("POST", path, [...auth, ["Content-Type", type]], body);
    return { ...PLAIN, kind: `corpus: ${kind}`, method: "POST", bytes, operation };
  };
  const json = (kind: string, path: string, value: unknown): Case =>
    post(kind, path, Buffer.from(JSON.stringify(value)));
  const get = (kind: string, target: string, headers: readonly (readonly [string, string])[] = auth): Case => {
    const bytes = requestText("GET", oneWord(target), headers);
    return { ...PLAIN, kind: `corpus: ${kind}`, method: "GET", bytes, operation: null };
  };
  for (const [kind, exchanges] of Object.entries(EXCHANGES)) {
    for (const text of exchanges) {
      const filled = text.replaceAll("HOST", host[1]).replaceAll("KEY", keys.good);
      const method = /^(\w+) /.exec(filled)?.[1] ?? "";
      const bytes = Buffer.from(filled, "latin1");
      yield { ...PLAIN, kind: `corpus: ${kind}`, method, bytes, operation: null, isFramed: false };
    }
  }
  const takers = operations.filter(({ body }) => body !== undefined).map(({ path }) => path);
  for (const path of takers) {
    for (const body of JSON_BODIES) yield post("JSON", path, body);
  }
  for (const path of ["/v2/rich", "/v2/gallery", "/v1/gallery"]) {
    for (const { type, body } of FORMS) yield post("forms", path, body, type);
  }
  for (const text of TEXTS) {
    yield json("texts", "/v2/rich", { prompt: text, slug: text });
    yield json("texts", "/v2/rich", { prompt: "x", [text]: text, counts: { [text]: text }, nested: { [text]: 1 } });
    yield json("texts", "/v2/gallery", { any: text });
    yield get("texts", `/v2/requests/${text}`);
    yield get("texts", `/v2/models/${text}`);
    yield get("texts", `/files/${text}`);
    yield get("texts", `/${text}`);
  }
  const some = (): readonly string[] => TEXTS.filter(() => context.random.chance(share));
  for (const [name, values] of Object.entries(HEADERS)) {
    for (const value of [...values, ...some()]) {
      const header = [name, oneLine(value)] as const;
      const others = auth.filter(([other]) => other.toLowerCase() !== name);
      yield get("headers", "/v2/requests?limit=1", [...others, header]);
      const type = name === "content-type" ? [] : [JSON_TYPE];
      const bytes = requestText("POST", "/v2/rich", [...others, ...type, header], Buffer.from('{"prompt":"x"}'));
      yield { ...PLAIN, kind: "corpus: headers", method: "POST", bytes, operation: null };
      const options = requestText("OPTIONS", "/v2/rich", [...others, header]);
      yield { ...PLAIN, kind: "corpus: headers", method: "OPTIONS", bytes: options, operation: null };
    }
  }
  for (const [name, values] of Object.entries(QUERIES)) {
    for (const value of [...values, ...some()]) {
      const query = `${name}=${encodeURIComponent(value.toWellFormed())}`;
      yield get("queries", `/v2/requests?${query}`);
      yield get("queries", `/v2/requests/${IDS[0]}?${query}&${name}=${value}`);
      yield json("queries", `/v2/rich?${query}`, { prompt: "x" });
    }
  }
  for (const id of IDS) {
    for (const { method, path } of operations.filter((one) => one.path.includes("{id}"))) {
      const bytes = requestText(method, oneWord(path.replace("{id}", id)), auth);
      yield { ...PLAIN, kind: "corpus: ids", method, bytes, operation: null };
    }
  }
  for (const target of TARGETS) {
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
      const bytes = requestText(method, oneWord(target), auth);
      yield { ...PLAIN, kind: "corpus: paths", method, bytes, operation: null };
    }
  }
  for (const [what, bytes] of Object.entries(MEDIA)) {
    const text = bytes.toString("base64");
    for (const name of ["image", "audio", "video", "document", "vector", "any"]) {
      yield json(`media, ${what}`, "/v2/gallery", { [name]: `data:image/png;base64,${text}` });
    }
    yield json(`media, ${what}`, "/v1/gallery", { any: text });
    yield json(`media, ${what}`, "/upload-asset", { data_urls: [`data:image/png;base64,${text}`] });
    const { type, body } = form([[field("any", "a.png"), bytes]]);
    yield post(`media, ${what}`, "/v2/gallery", body, type);
  }
  for (const uri of DATA_URIS) {
    yield json("data URIs", "/v2/gallery", { any: uri, images: [uri] });
    yield json("data URIs", "/upload-asset", {
      data_urls: [uri, `data:image/png;base64,${GOOD_PNG.toString("base64")}`],
    });
  }
  const urls = [...PRIVATE_URLS, ...PRIVATE_NAMES.map((name) => `http://${name}:PORT/`)];
  for (const url of urls.map((one) => one.replaceAll("PORT", String(privatePort)))) {
    yield json("URLs of media", "/v2/gallery", { any: url });
    yield json("URLs of media", "/v1/gallery", { any: url });
    yield json("URLs of webhooks", `/v2/rich?webhook=${encodeURIComponent(url)}`, { prompt: "x" });
  }
}

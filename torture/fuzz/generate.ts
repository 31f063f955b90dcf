/** Makes cases from a seed: an operation, who calls, and what could be wrong with each part of it. */
import { type Case, oneLine, oneWord, requestText } from "./case.ts";
import { HEADERS, QUERIES } from "./corpus/headers.ts";
import { IDS, TARGETS } from "./corpus/ids.ts";
import { JSON_BODIES } from "./corpus/json.ts";
import { GOOD_PNG, MEDIA } from "./corpus/media.ts";
import { field, form, type FormBody, FORMS } from "./corpus/multipart.ts";
import { TEXTS } from "./corpus/texts.ts";
import { PRIVATE_NAMES, PRIVATE_URLS } from "./corpus/urls.ts";
import { recent } from "./lore.ts";
import { mutated } from "./mutate.ts";
import type { Operation } from "./operations.ts";
import type { Keys } from "./server.ts";
import { input, type Sources } from "./values.ts";

const METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"];
const FILES = Object.values(MEDIA).filter((file) => file.length < 24_000);

/** Who calls. */
type Caller = keyof Keys | "nobody" | "stranger" | "odd";

const CALLERS: readonly Caller[] = [
  ..."gggggggggggg".split("").map(() => "good" as const),
  "other",
  "other",
  "readOnly",
  "admin",
  "bound",
  "revoked",
  "limited",
  "nobody",
  "stranger",
  "odd",
];

export interface Context extends Sources {
  readonly keys: Keys;
  readonly operations: readonly Operation[];
}

type Headers = (readonly [string, string])[];

/** The next case for any of the operations. */
export function nextCase(context: Context): Case {
  const { random, operations } = context;
  if (random.chance(0.04)) return oddTarget(context);
  for (;;) {
    const operation = random.pick(operations);
    // Of those that take nothing there is little to get wrong, and they answer much.
    if (operation.parameters.length > 0 || operation.body !== undefined || random.chance(0.1))
      return caseFor(context, operation);
  }
}

/** A path that is none, with whatever method. */
function oddTarget(context: Context): Case {
  const { random } = context;
  const method = random.pick(METHODS);
  const target = random.pick([
    ...TARGETS,
    ...TEXTS.map((text) => `/v2/${text}`),
    ...TEXTS.map((text) => `/files/${text}`),
  ]);
  const { headers } = headersFor(context, random.pick(CALLERS));
  const bytes = requestText(method, inLine(target), headers);
  return {
    kind: "odd path",
    bytes,
    method,
    operation: null,
    mayPass: true,
    isForeign: false,
    isFramed: true,
    isStream: false,
  };
}

/** A case for `operation`: mostly well-formed, with something wrong here or there. */
export function caseFor(context: Context, operation: Operation): Case {
  const { random } = context;
  const caller = random.pick(CALLERS);
  const { path, isForeign, isOdd } = pathFor(context, operation, caller);
  const method = random.chance(0.02) ? random.pick(METHODS) : operation.method;
  const { headers } = headersFor(context, caller);
  const query = queryFor(context, operation);
  const isSpoilt = isOdd || method !== operation.method;
  const isStream = method === "GET" && path.endsWith("/events");
  let body: Buffer | undefined;
  let kind = operation.name.replace(/ \/(v[12])\/(?!requests|models)[^/]+$/, " /$1/{model}");
  if (operation.body !== undefined && method !== "HEAD" && !random.chance(0.02)) {
    const made = bodyFor(context, operation);
    body = made.body;
    if (!random.chance(0.03)) headers.push(["Content-Type", made.type]);
    kind += `, ${made.kind}`;
  } else if (random.chance(0.05)) {
    body = random.pick(JSON_BODIES);
    headers.push(["Content-Type", "application/json"]);
  }
  return {
    kind,
    bytes: requestText(method, inLine(path + query), headers, body),
    method,
    operation: isSpoilt ? null : operation.name,
    mayPass:
      isSpoilt ||
      !operation.needsKey ||
      !["nobody", "stranger", "revoked", "odd"].includes(caller) ||
      query.includes("token="),
    isForeign: isForeign && !isSpoilt && !query.includes("token="),
    isFramed: !isStream,
    isStream,
  };
}

/** A path always begins with a slash here. */
function inLine(target: string): string {
  return oneWord(target.startsWith("/") ? target : `/${target}`);
}

function pathFor(
  { random, lore }: Context,
  { path }: Operation,
  caller: Caller,
): { readonly path: string; readonly isForeign: boolean; readonly isOdd: boolean } {
  let isForeign = false;
  let isOdd = random.chance(0.02);
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (random.chance(0.1)) {
      isOdd = true;
      return random.pick(TEXTS);
    }
    if (name === "path") return recent(random, lore.files, "0199a2b4-0000-7000-8000-000000000000/0/x.png");
    if (name === "model") return random.pick(["rich", "gallery", "album", "mock-inference", "seedream-4.5", "nothing"]);
    if (random.chance(0.25)) {
      isOdd = true;
      return random.pick(IDS);
    }
    isForeign = caller !== "other" && caller !== "odd" && random.chance(0.2) && lore.foreign.length > 0;
    return recent(random, isForeign || caller === "other" ? lore.foreign : lore.own, IDS[0]!);
  });
  const spoilt = isOdd && random.chance(0.2) ? mutated(random, Buffer.from(filled)).toString("latin1") : filled;
  return { path: spoilt, isForeign, isOdd: isOdd || spoilt !== filled };
}

function queryFor(context: Context, { parameters }: Operation): string {
  const { random, lore, privatePort } = context;
  const parts: string[] = [];
  const add = (name: string, text: string): void => {
    parts.push(`${name}=${random.chance(0.8) ? encodeURIComponent(text.toWellFormed()) : text}`);
  };
  for (const { name } of parameters.filter((one) => one.in === "query")) {
    if (!random.chance(0.15)) continue;
    const known: readonly string[] = QUERIES[name] ?? TEXTS;
    if (name === "webhook") {
      const url = random.chance(0.9) ? random.pick(PRIVATE_URLS) : `http://${random.pick(PRIVATE_NAMES)}:PORT/`;
      add(name, url.replaceAll("PORT", String(privatePort)));
    } else if (name === "token") add(name, recent(random, lore.tokens, random.pick(known)));
    else if (name === "cursor") add(name, random.chance(0.5) ? recent(random, lore.cursors, "x") : random.pick(known));
    else add(name, random.chance(0.8) ? random.pick(known) : random.pick(TEXTS));
    if (random.chance(0.1)) parts.push(parts.at(-1)!);
  }
  if (random.chance(0.05)) {
    const name = random.pick(Object.keys(QUERIES));
    add(name, random.pick(QUERIES[name]!));
  }
  if (random.chance(0.02)) add(random.pick(TEXTS), random.pick(TEXTS));
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function headersFor({ random, keys, base }: Context, caller: Caller): { readonly headers: Headers } {
  const headers: Headers = [];
  const host = new URL(base).host;
  if (!random.chance(0.02)) headers.push(["Host", random.chance(0.95) ? host : oneLine(random.pick(HEADERS["host"]!))]);
  // From many addresses: one that comes with wrong keys is told nothing else before long. Not from any number, though:
  // the server remembers them for a while, and its memory is to come to rest.
  if (!random.chance(0.01)) headers.push(["X-Forwarded-For", `10.0.${random.whole(0, 3)}.${random.whole(0, 255)}`]);
  if (caller === "stranger") headers.push(["x-api-key", `sg_${random.whole(0, 1e9).toString(16)}`]);
  else if (caller === "odd") {
    const name = random.pick(["x-api-key", "authorization"]);
    headers.push([name, oneLine(random.pick(HEADERS[name]!))]);
  } else if (caller !== "nobody") {
    if (random.chance(0.8)) headers.push(["x-api-key", keys[caller]]);
    else headers.push(["Authorization", `Bearer ${keys[caller]}`]);
  }
  const names = Object.keys(HEADERS).filter(
    (name) => !["host", "content-type", "x-api-key", "authorization"].includes(name),
  );
  for (let more = random.chance(0.4) ? random.whole(1, 3) : 0; more > 0; more -= 1) {
    const name = random.pick(names);
    if (name === "content-encoding" && !random.chance(0.2)) continue;
    headers.push([name, oneLine(random.chance(0.85) ? random.pick(HEADERS[name]!) : random.pick(TEXTS))]);
  }
  return { headers };
}

function bodyFor(
  context: Context,
  { body: schema = {}, takesForm }: Operation,
): { readonly body: Buffer; readonly type: string; readonly kind: string } {
  const { random } = context;
  const made = (): Buffer => Buffer.from(JSON.stringify(input(context, schema)) ?? "");
  if (takesForm && random.chance(0.2)) {
    const { body, type } = random.chance(0.5) ? random.pick(FORMS) : formOf(context, schema);
    const bytes = random.chance(0.3) ? mutated(random, body) : body;
    return { body: bytes, type, kind: "form" };
  }
  const type = random.chance(0.96) ? "application/json" : oneLine(random.pick(HEADERS["content-type"]!));
  if (random.chance(0.25)) return { body: random.pick(JSON_BODIES), type, kind: "odd JSON" };
  if (random.chance(0.35)) {
    return {
      body: mutated(random, random.chance(0.5) ? made() : random.pick(JSON_BODIES)),
      type,
      kind: "changed bytes",
    };
  }
  return { body: made(), type, kind: "input" };
}

function formOf(context: Context, schema: Operation["body"] & {}): FormBody {
  const { random } = context;
  const parts = Object.entries(input(context, schema)).map(([name, value]) => {
    const safe = Buffer.from(name)
      .toString("latin1")
      .replace(/[\r\n"]/g, "_");
    if (random.chance(0.4)) return [field(safe, "a.png"), random.pick([GOOD_PNG, ...FILES])] as const;
    return [field(safe), typeof value === "string" ? value : (JSON.stringify(value) ?? "")] as const;
  });
  return form(parts);
}

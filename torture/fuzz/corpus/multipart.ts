/** Forms that are hardly forms, with the Content-Type that announces each. */
import { TEXTS } from "./texts.ts";
import { GOOD_PNG } from "./media.ts";

export interface FormBody {
  readonly type: string;
  readonly body: Buffer;
}

/** A form of `parts`: each its head's lines and its content. */
export function form(parts: readonly (readonly [string, string | Buffer])[], boundary = "b"): FormBody {
  const pieces = parts.flatMap(([head, content]) => [
    Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`, "latin1"),
    Buffer.from(content),
    Buffer.from("\r\n"),
  ]);
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`, "latin1")]),
  };
}

/** Content-Disposition of the field `name`, as it is or of a file. */
export function field(name: string, filename?: string): string {
  const head = `Content-Disposition: form-data; name="${name}"`;
  return filename === undefined ? head : `${head}; filename="${filename}"\r\nContent-Type: image/png`;
}

const raw = (body: string, type = "multipart/form-data; boundary=b"): FormBody => ({
  type,
  body: Buffer.from(body, "latin1"),
});
const PROMPT = [field("prompt"), "x"] as const;
const PART = `--b\r\n${field("prompt")}\r\n\r\nx\r\n`;

export const FORMS: readonly FormBody[] = [
  form([PROMPT]),
  form([]),
  form([PROMPT, PROMPT, PROMPT]),
  form([PROMPT, [field("image", "a.png"), GOOD_PNG]]),
  form([PROMPT, [field("images[]", "a.png"), GOOD_PNG], [field("images[]", "b.png"), GOOD_PNG]]),
  form([PROMPT, [field("prompt", "a.txt"), "text"]]),
  form([[field("prompt", "a.txt"), Buffer.from([0xff, 0xfe])]]),
  form(Array.from({ length: 1_001 }, () => PROMPT)),
  form(Array.from({ length: 900 }, (_, index) => [field(`field-${index}`), ""] as const)),
  form(Array.from({ length: 200 }, () => [field("anything", "a.png"), GOOD_PNG] as const)),
  form([
    [field("prompt[]"), "x"],
    [field("[]"), "y"],
    [field("prompt[][]"), "z"],
    [field(""), "w"],
  ]),
  form([[field("__proto__"), "x"], [field("constructor"), "y"], [field("toString[]"), "z"], PROMPT]),
  form([["Content-Disposition: form-data", "x"]]),
  form([["Content-Disposition: attachment; name=x", "x"]]),
  form([["Content-Type: text/plain", "x"]]),
  form([["", "x"]]),
  form([[`${field("prompt")}\r\n${"X-Header: x\r\n".repeat(1_000)}X-Last: x`, "x"]]),
  form([[`${field("prompt")}\r\nX-Long: ${"x".repeat(50_000)}`, "x"]]),
  form([[`${field("prompt")}\r\nContent-Transfer-Encoding: base64`, "eA=="]]),
  form([[`${field("prompt")}\r\nContent-Type: text/plain; charset=utf-16`, "x"]]),
  form([["Content-Disposition: form-data; name=prompt", "x"]]),
  form([[`Content-Disposition: form-data; name="prompt`, "x"]]),
  form([[`Content-Disposition: form-data; name*=utf-8''prompt`, "x"]]),
  form([[`content-disposition:form-data;name="prompt"`, "x"]]),
  form([[`Content-Disposition: form-data; name="prompt"; name="other"`, "x"]]),
  form([[`Content-Disposition: form-data; name="a\\"b"`, "x"]]),
  form([[`Content-Disposition: form-data; name="a%22b%0d%0a"`, "x"]]),
  form([
    [`Content-Type: multipart/mixed; boundary=c\r\n${field("image")}`, `--c\r\n${field("x", "y")}\r\n\r\nz\r\n--c--`],
  ]),
  form([[field("image", "x".repeat(10_000)), GOOD_PNG]]),
  form([PROMPT], "b".repeat(70)),
  form([PROMPT], "'()+_,-./:=?"),
  raw(""),
  raw("--b"),
  raw("--b--"),
  raw("--b--\r\n"),
  raw("--b\r\n"),
  raw("--b\r\n\r\n"),
  raw("--b\r\n--b\r\n--b--"),
  raw(PART),
  raw(PART.slice(0, -2)),
  raw(`${PART}--b-`),
  raw(`${PART}--bb--\r\n`),
  raw(`preamble\r\n${PART}--b--\r\nepilogue`),
  raw(`${PART}--b--\r\n${PART}--b--\r\n`),
  raw(PART.replaceAll("\r\n", "\n") + "--b--\n"),
  raw(PART.replaceAll("\r\n", "\r") + "--b--\r"),
  raw(`--b \t\r\n${field("prompt")}\r\n\r\nx\r\n--b-- \t\r\n`),
  raw(`${PART}--b--\r\n`, "multipart/form-data"),
  raw(`${PART}--b--\r\n`, "multipart/form-data; boundary=c"),
  raw(`${PART}--b--\r\n`, "multipart/form-data; boundary="),
  raw(`${PART}--b--\r\n`, 'multipart/form-data; boundary="b"'),
  raw(`${PART}--b--\r\n`, "multipart/form-data; boundary=b; charset=utf-16"),
  raw(`${PART}--b--\r\n`, "multipart/form-data; BOUNDARY=b"),
  raw("-".repeat(20_000)),
  raw("--b\r\n".repeat(5_000)),
  raw("\r\n".repeat(10_000)),
  raw("\0".repeat(10_000)),
  { type: "multipart/form-data; boundary=b", body: Buffer.from(`\ufeff${PART}--b--\r\n`) },
  ...TEXTS.filter((text) => !/[\r\n\0"]/.test(text)).flatMap((text) => {
    const name = Buffer.from(text).toString("latin1");
    return [form([PROMPT, [field("image", name), GOOD_PNG]]), form([PROMPT, [field(name), text]])];
  }),
];

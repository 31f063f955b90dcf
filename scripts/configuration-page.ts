/** Writes docs/reference/configuration.md from the config's schema and the docstrings of its types; a test holds the page equal. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_SCHEMA, ENVIRONMENT, MODEL_ENTRY_SCHEMA } from "../packages/server/src/config/config.ts";

type Schema = Readonly<Record<string, unknown>>;

const ROOT = join(import.meta.dirname, "..");
export const CONFIGURATION_PAGE = join(ROOT, "docs/reference/configuration.md");

export function configurationPage(): string {
  const source = readFileSync(join(ROOT, "packages/server/src/config/config.ts"), "utf8");
  return `# Configuration

<!-- Made by scripts/configuration-page.ts from packages/server/src/config/config.ts. Change it there. -->

\`inferq start\` reads \`inferq.config.ts\` in the directory it is started in, or the file that \`--config\` names. A flag
goes over an environment variable, that over the file, and that over the default. An unknown key or a bad value stops
the start with one sentence. A blank variable counts as not set.

\`\`\`ts
import { defineConfig } from "inferq";

export default defineConfig({
  models: ["@inferq/models/emoji-scene", { module: "./my-model.ts", processes: 2 }],
  resultTtlSeconds: 86_400,
});
\`\`\`

## Settings

${table(CONFIG_SCHEMA.properties, interfaceText(source, "Config"))}

## An entry of \`models\`

A text is short for \`{ module: "…" }\`.

${table(MODEL_ENTRY_SCHEMA["properties"] as Readonly<Record<string, Schema>>, interfaceText(source, "ModelEntry"))}

## Environment variables

| variable | sets |
| --- | --- |
${Object.entries(ENVIRONMENT)
  .map(
    ([variable, key]) =>
      `| \`${variable}\` | \`${key}\`${typeOf(CONFIG_SCHEMA.properties[key]) === "list" ? ", comma-separated" : ""} |`,
  )
  .join("\n")}
| \`INFERQ_API_KEYS\` | API keys, comma-separated, each \`key\` or \`name=key\`; beside those made with \`inferq keys create\`; none of them is an admin key |

The flags \`--port\`, \`--host\` and \`--data-dir\` set \`port\`, \`host\` and \`dataDir\`. A relative directory in a flag or a
variable is relative to where the server is started; in the file, to the file.
`;
}

function table(properties: Readonly<Record<string, Schema>>, docs: string): string {
  const head = "| key | type | default | meaning |";
  const rows = Object.entries(properties).map(([key, schema]) => {
    const fallback = schema["default"] === undefined ? "" : `\`${JSON.stringify(schema["default"])}\``;
    return `| \`${key}\` | ${typeOf(schema)} | ${fallback} | ${docstring(docs, key)} |`;
  });
  return [head, "| --- | --- | --- | --- |", ...rows].join("\n");
}

function typeOf(schema: Schema): string {
  if (Array.isArray(schema["enum"])) return schema["enum"].map((value) => `\`${JSON.stringify(value)}\``).join(", ");
  const { minimum, maximum, exclusiveMinimum } = schema as Readonly<Record<string, number | undefined>>;
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (minimum !== undefined) return `number ≥ ${minimum}`;
  if (exclusiveMinimum !== undefined) return `number > ${exclusiveMinimum}`;
  return { array: "list", string: "text", number: "number" }[String(schema["type"])] ?? String(schema["type"]);
}

function interfaceText(source: string, name: string): string {
  const start = source.indexOf(`export interface ${name} {`);
  if (start === -1) throw new Error(`config.ts declares no interface ${name}`);
  return source.slice(start, source.indexOf("\n}", start));
}

/** The docstring above `key` in the text of its interface. */
function docstring(text: string, key: string): string {
  const match = new RegExp(`/\\*\\* ([^\\n]*?) \\*/\\n  readonly ${key}\\??:`).exec(text);
  if (match?.[1] === undefined) throw new Error(`${key} has no docstring of one line in config.ts`);
  return match[1].replaceAll("|", "\\|");
}

if (import.meta.main) writeFileSync(CONFIGURATION_PAGE, configurationPage());

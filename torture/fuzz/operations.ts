/** What there is to fuzz: every operation of the server's own OpenAPI document, which a test holds equal to its routes. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
}

export interface Schema {
  readonly [keyword: string]: unknown;
}

export interface Operation {
  /** Such as `GET /v2/requests/{id}`. */
  readonly name: string;
  readonly method: string;
  /** With parameters in braces. */
  readonly path: string;
  readonly needsKey: boolean;
  readonly parameters: readonly Parameter[];
  /** Of its JSON body; undefined where it takes none. */
  readonly body: Schema | undefined;
  readonly takesForm: boolean;
  /** The statuses that its documentation names. */
  readonly statuses: ReadonlySet<number>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: {
    readonly parameters: Readonly<Record<string, Parameter>>;
    readonly schemas: Readonly<Record<string, Schema>>;
  };
}

interface DocumentedOperation {
  readonly security?: readonly object[];
  readonly parameters?: readonly (Parameter | { readonly $ref: string })[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Reference {
  readonly $ref: string;
}

function isReference(value: unknown): value is Reference {
  return typeof value === "object" && value !== null && "$ref" in value;
}

/** Those of the server on `port`. */
export async function operationsOf(port: number): Promise<readonly Operation[]> {
  const answer = await fetch(`http://127.0.0.1:${port}/openapi.json`);
  const { paths, components } = (await answer.json()) as Document;
  const resolved = <T>(table: Readonly<Record<string, T>>, value: T | Reference): T =>
    isReference(value) ? table[value.$ref.split("/").at(-1)!]! : value;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const content = operation.requestBody?.content ?? {};
      const body = content["application/json"]?.schema;
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        needsKey: operation.security === undefined || operation.security.length > 0,
        parameters: (operation.parameters ?? []).map((one) => resolved<Parameter>(components.parameters, one)),
        body: body && resolved<Schema>(components.schemas, body),
        takesForm: "multipart/form-data" in content,
        statuses: new Set(Object.keys(operation.responses).map(Number)),
      };
    }),
  );
}

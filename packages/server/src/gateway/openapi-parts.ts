/** Pieces that the OpenAPI document is made of. */

/** A piece of the document. */
export type Json = { readonly [name: string]: unknown };

export const ERROR: Json = { $ref: "#/components/responses/Error" };
/** There is no such request, or none any more. */
export const NOT_FOUND: Json = { $ref: "#/components/responses/NotFound" };
export const FAILED: Json = { $ref: "#/components/responses/Failed" };
export const CONFLICT: Json = { $ref: "#/components/responses/Conflict" };
export const ID: Json = {
  name: "id",
  in: "path",
  required: true,
  description: "The request_id in the answer to the submit.",
  schema: { type: "string", format: "uuid" },
};

export const URL: Json = { type: "string", format: "uri" };
export const STRING: Json = { type: "string" };

export function ok(description: string, schema: unknown): Json {
  return { description, content: { "application/json": { schema } } };
}

export function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** An object that has all of `properties`, but for the `optional` ones. */
export function object(properties: Json, optional: readonly string[] = []): Json {
  return { type: "object", properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

/**
 * A submit that comes again under its `Idempotency-Key`: the same request is answered with the id it had, a
 * different one is refused. "The same" is what would run: the model by its own name, the input as it was
 * parsed, and the options; not how it was written down.
 */
import { InferqError } from "../core/errors.ts";
import { identified, textDigest } from "../media/identity.ts";
import type { SourceContext } from "../media/sources.ts";
import type { CatalogEntry } from "../model/catalog.ts";
import type { EnqueueAnswer, RequestStore } from "../store/store.ts";
import type { SubmitOptions } from "./submit-options.ts";

/** Digest of a request; `input` is what the model's check made of what came. Rejects as `intake` does where a medium is none. */
export async function requestDigest(
  { definition }: CatalogEntry,
  input: Readonly<Record<string, unknown>>,
  sources: SourceContext,
  options: SubmitOptions,
): Promise<string> {
  const { idempotencyKey: _, webhook, ...headers } = options;
  // One without a webhook has the digest that it had before there were any: an upgrade breaks no replay.
  const asked = webhook === null ? headers : { ...headers, webhook };
  return await textDigest(canonicalJson([definition.name, await identified(input, definition.input, sources), asked]));
}

/** Digest of a retry of the request `id`: no submit's is the same. */
export async function retryDigest(id: string): Promise<string> {
  return await textDigest(canonicalJson(["retry", id]));
}

/** What `owner` submitted under `key` before, if that lives. A look only: what counts is the answer of the enqueue. */
export async function earlier(store: RequestStore, owner: string, key: string): Promise<EnqueueAnswer> {
  const { requests } = await store.list({ owner, idempotencyKey: key, limit: 1 });
  const found = requests[0] && (await store.get(requests[0].id));
  if (found === undefined || found.idempotencyDigest === null) return { ok: true };
  return { ok: false, id: found.id, idempotencyDigest: found.idempotencyDigest };
}

/** The id of the request that is answered in place of a new one. Throws `idempotency_conflict` if it is a different one. */
export function replayOf(first: Extract<EnqueueAnswer, { ok: false }>, digest: string | null): string {
  if (first.idempotencyDigest !== digest) throw new InferqError("idempotency_conflict", { id: first.id });
  return first.id;
}

/** JSON with sorted keys and no spaces (RFC 8785): one text for each value, whichever way it was put together. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = value as Readonly<Record<string, unknown>>;
  const members = Object.keys(fields)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(fields[name])}`);
  return `{${members.join(",")}}`;
}

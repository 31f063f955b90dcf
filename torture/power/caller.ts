/** A client of a server that will lose its power: whatever it is told goes into what is known, with its place in the log. */
import { type Answer, ask, type Ask, fields, isAnswer } from "../lib/http.ts";
import { AUTH } from "../lib/server.ts";
import { type Known, type KnownRequest, NEVER, type Outcome } from "./known.ts";
import { pictureFor, type Work } from "./work.ts";

/** The server did not do what it was asked for, and said so or nothing. */
export class Refused extends Error {}

/** In which way a picture comes with a submit. */
type PictureForm = "none" | "data" | "form" | "upload";

export interface Wish {
  readonly work: Work;
  readonly picture?: PictureForm;
  /** Characters that make the input long. */
  readonly padding?: number;
  readonly webhook?: boolean;
  readonly idempotencyKey?: string;
}

const JSON_TYPE = { "content-type": "application/json" };

export class Caller {
  readonly #base: string;
  readonly #known: Known;
  readonly #webhookUrl: string;
  /** How far the log has come. */
  readonly #now: () => number;
  /** How long each submit took that was taken, ms. */
  readonly submitMs: number[] = [];

  constructor(base: string, known: Known, webhookUrl: string, now: () => number) {
    this.#base = base;
    this.#known = known;
    this.#webhookUrl = webhookUrl;
    this.#now = now;
  }

  async submit(wish: Wish): Promise<KnownRequest> {
    const { work, picture = "none", padding = 0, webhook = false, idempotencyKey } = wish;
    const path = webhook ? `/v2/copier?webhook=${encodeURIComponent(this.#webhookUrl)}` : "/v2/copier";
    const input = {
      ...work,
      ...(picture === "data" && { picture: dataUri(pictureFor(work)) }),
      ...(picture === "upload" && { picture: await this.upload(pictureFor(work)) }),
      ...(padding > 0 && { padding: "x".repeat(padding) }),
    };
    const { body, headers } =
      picture === "form" ? await form(work) : { body: JSON.stringify(input), headers: JSON_TYPE };
    const keyHeader = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    const answer = await this.#ask({ method: "POST", path, body, headers: { ...headers, ...keyHeader } });
    this.submitMs.push(answer.answeredAt - answer.askedAt);
    return this.#submitted(fields(answer).request_id as string, {
      work,
      hasPicture: picture !== "none",
      hasWebhook: webhook,
      idempotencyKey: idempotencyKey ?? null,
      path,
      body: body.toString(),
    });
  }

  /** Whether a submit is taken. */
  async isServed(nonce: string): Promise<boolean> {
    try {
      await this.submit({ work: { nonce, kind: "text", size: 10, ms: 0 } });
      return true;
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
  }

  /** The same submit once more. Answers the id of the request that it was answered with. */
  async resubmit({ path, body, idempotencyKey }: KnownRequest): Promise<string> {
    const headers = { ...JSON_TYPE, "idempotency-key": idempotencyKey! };
    return fields(await this.#ask({ method: "POST", path, body, headers })).request_id as string;
  }

  /** A finished request once more. */
  async retry({ id, work, hasPicture, hasWebhook, path, body }: KnownRequest): Promise<KnownRequest> {
    const answer = await this.#ask({ method: "POST", path: `/v2/requests/${id}/retry` });
    const facts = { work, hasPicture, hasWebhook, idempotencyKey: null, path, body };
    return this.#submitted(fields(answer).request_id as string, facts);
  }

  #submitted(
    id: string,
    facts: Pick<KnownRequest, "work" | "hasPicture" | "hasWebhook" | "idempotencyKey" | "path" | "body">,
  ): KnownRequest {
    const known = {
      ...facts,
      id,
      answeredAt: this.#now(),
      cancelAskedAt: NEVER,
      deleteAskedAt: NEVER,
      deletedAt: NEVER,
      outcome: null,
      losses: 0,
    };
    this.#known.requests.set(id, known);
    return known;
  }

  /** Waits for the outcome. Null where there is no such request. */
  async outcome(id: string): Promise<Outcome | null> {
    for (;;) {
      const answer = await this.#ask({ path: `/v2/requests/${id}?wait=10` }, [200, 422, 404]);
      if (answer.status === 404) return null;
      const { status } = fields(answer) as { status: string };
      if (status !== "COMPLETED" && status !== "FAILED") continue;
      const code = status === "FAILED" ? String(answer.headers["x-error-code"]) : null;
      return { at: this.#now(), status, code, body: answer.body.toString() };
    }
  }

  /** Waits for the outcome of a request that is known, which is known from then on. */
  async follow(request: KnownRequest): Promise<void> {
    request.outcome ??= await this.outcome(request.id);
  }

  /** Also where it has an outcome already. */
  async cancel(request: KnownRequest): Promise<void> {
    request.cancelAskedAt = this.#now();
    await this.#ask({ method: "POST", path: `/v2/requests/${request.id}/cancel` }, [200, 409]);
    await this.follow(request);
  }

  async delete(request: KnownRequest): Promise<void> {
    request.deleteAskedAt = this.#now();
    await this.#ask({ method: "DELETE", path: `/v2/requests/${request.id}` }, [204]);
    request.deletedAt = this.#now();
  }

  /** Answers the URL of what was uploaded. */
  async upload(bytes: Buffer): Promise<string> {
    const body = JSON.stringify({ data_urls: [dataUri(bytes)] });
    const answer = await this.#ask({ method: "POST", path: "/upload-asset", body, headers: JSON_TYPE });
    const [url] = fields(answer).urls as string[];
    this.#known.uploads.push({ at: this.#now(), path: new URL(url!).pathname, bytes });
    return url!;
  }

  async rotateSecret(): Promise<void> {
    const askedAt = this.#now();
    const answer = await this.#ask({ method: "POST", path: "/v2/webhooks/secret/rotate" });
    this.#known.secrets.push({ askedAt, at: this.#now(), secret: fields(answer).secret as string });
  }

  async secret(): Promise<string> {
    return fields(await this.#ask({ path: "/v2/webhooks/secret" })).secret as string;
  }

  /** The file at that URL or path. Null where there is none. */
  async file(url: string): Promise<Buffer | null> {
    const answer = await this.#ask({ path: new URL(url, this.#base).pathname }, [200, 404, 410]);
    return answer.status === 200 ? answer.body : null;
  }

  /** Whether the server knows this key. */
  async mayUse(secret: string): Promise<boolean> {
    return (await this.#ask({ path: "/v2/models", headers: { "x-api-key": secret } }, [200, 401])).status === 200;
  }

  /** Ids of all requests of this client's key. */
  async list(): Promise<string[]> {
    const ids: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const from = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = fields(await this.#ask({ path: `/v2/requests?limit=100${from}` }));
      ids.push(...(page.requests as { request_id: string }[]).map((request) => request.request_id));
      cursor = page.next_cursor as string | null;
    }
    return ids;
  }

  async #ask(question: Ask, expected: readonly number[] = [200]): Promise<Answer> {
    const answer = await ask(this.#base, { ...question, headers: { ...AUTH, ...question.headers } });
    const { method = "GET", path } = question;
    if (!isAnswer(answer)) throw new Refused(`${method} ${path} got no answer: ${answer.none}`);
    if (expected.includes(answer.status)) return answer;
    throw new Refused(`${method} ${path} was answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`);
  }
}

function dataUri(bytes: Buffer): string {
  return `data:image/gif;base64,${bytes.toString("base64")}`;
}

async function form(work: Work): Promise<{ body: Buffer; headers: Record<string, string> }> {
  const data = new FormData();
  for (const [name, value] of Object.entries(work)) data.set(name, String(value));
  data.set("picture", new Blob([new Uint8Array(pictureFor(work))], { type: "image/gif" }), "picture.gif");
  const encoded = new Response(data);
  return {
    body: Buffer.from(await encoded.arrayBuffer()),
    headers: { "content-type": encoded.headers.get("content-type")! },
  };
}

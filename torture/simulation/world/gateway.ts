/** The gateway's own routes, called without HTTP: what a call comes with in, what it is answered out. */
import { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { InferqError } from "../../../packages/server/src/core/errors.ts";
import { requestIds } from "../../../packages/server/src/core/ids.ts";
import { accepter } from "../../../packages/server/src/gateway/accept.ts";
import { cancelRoute } from "../../../packages/server/src/gateway/cancel.ts";
import type { GatewayContext } from "../../../packages/server/src/gateway/context.ts";
import { deleteRoute } from "../../../packages/server/src/gateway/delete.ts";
import { deliveryRoutes } from "../../../packages/server/src/gateway/deliveries.ts";
import { enqueuer } from "../../../packages/server/src/gateway/enqueue.ts";
import { eventTokens } from "../../../packages/server/src/gateway/event-token.ts";
import { fileRoutes } from "../../../packages/server/src/gateway/files.ts";
import { limiter } from "../../../packages/server/src/gateway/limits.ts";
import { listRoute } from "../../../packages/server/src/gateway/list.ts";
import type { GatewayOptions } from "../../../packages/server/src/gateway/options.ts";
import { requestRoutes } from "../../../packages/server/src/gateway/requests.ts";
import { rerunner } from "../../../packages/server/src/gateway/rerun.ts";
import { retryRoute } from "../../../packages/server/src/gateway/retry.ts";
import { submitOptions } from "../../../packages/server/src/gateway/submit-options.ts";
import { webhookWish } from "../../../packages/server/src/gateway/webhook-wish.ts";
import type { ApiKey } from "../../../packages/server/src/store/keys.ts";

/** What the gateway's routes are added to. */
type FastifyInstance = Parameters<typeof cancelRoute>[0];

/** Under which every client reaches the server. */
export const BASE = "http://inferq.example";

export interface Call {
  /** A route as the gateway names it: `GET /v2/requests/:id`. */
  readonly route: string;
  readonly caller: ApiKey;
  /** What the path names. */
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** Of a submit. */
  readonly model?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  /** Of the error table; null where it is none. */
  readonly code: string | null;
  /** The request that a submit or a retry led to. */
  readonly id: string | null;
  readonly isReplay: boolean;
  readonly body: string;
}

type Handler = (request: unknown, reply: unknown) => unknown;

export type CallGateway = (call: Call) => Promise<Answer>;

/** The gateway as `buildGateway` puts it together, without what is HTTP's alone. `closing`: it takes nothing new. */
export function simulatedGateway(options: GatewayOptions, closing: () => boolean): CallGateway {
  const { clock, keys, models, settings } = options;
  const authenticate = (call: unknown): ApiKey => (call as { readonly caller: ApiKey }).caller;
  const context = {
    ...options,
    identify: authenticate,
    authenticate,
    baseOf: () => BASE,
    ids: requestIds(clock, keys.idSecret),
    eventTokens: eventTokens(clock, keys.idSecret),
    limits: limiter(options),
    guard: { stranger: () => undefined },
  } as unknown as GatewayContext;
  const enqueue = enqueuer(context);
  const accept = accepter(context, enqueue);
  const handlers = new Map<string, Handler>();
  const app = registrar(handlers);
  requestRoutes(app, context);
  cancelRoute(app, context);
  listRoute(app, context);
  deliveryRoutes(app, context);
  deleteRoute(app, context);
  retryRoute(app, context, rerunner(context, enqueue), closing);
  fileRoutes(app, context);

  const submit = async ({ caller, model: name, headers = {}, query = {}, fields = {} }: Call): Promise<Answer> => {
    if (closing()) throw new InferqError("shutting_down");
    const model = models.find(name!)!;
    const url = `/v2/${name}?${new URLSearchParams(query).toString()}`;
    const asked = submitOptions(headers, model, settings);
    const wish = { ...asked, webhook: webhookWish(url, settings.allowPrivateWebhooks) };
    context.limits.checkDisk();
    context.limits.count(caller);
    const uploads = new Map<string, never>();
    const { id, isReplay } = await accept({ caller, model, base: BASE, port: 80, options: wish, fields, uploads });
    return { status: 200, code: null, id, isReplay, body: "" };
  };

  const route = async (call: Call): Promise<Answer> => {
    const { caller, id = "", headers = {}, query = {} } = call;
    const reply = new Reply();
    const raw = { caller, headers, url: `/?${new URLSearchParams(query).toString()}`, socket: {}, complete: true };
    await handlers.get(call.route)!({ raw, headers, query, params: { id, "*": id }, method: "GET" }, reply);
    return await reply.answer();
  };

  return async (call) => {
    try {
      return await (call.route === "POST /v2/:model" ? submit(call) : route(call));
    } catch (error) {
      if (!(error instanceof InferqError)) {
        return { status: 500, code: "internal", id: null, isReplay: false, body: String(error) };
      }
      return { status: error.status, code: error.code, id: null, isReplay: false, body: error.message };
    }
  };
}

/** Keeps the handlers that routes are registered with: the last argument. */
function registrar(handlers: Map<string, Handler>): FastifyInstance {
  const method =
    (name: string) =>
    (path: string, ...rest: Handler[]): void =>
      void handlers.set(`${name} ${path}`, rest.at(-1)!);
  return { get: method("GET"), post: method("POST"), delete: method("DELETE") } as unknown as Parameters<
    typeof cancelRoute
  >[0];
}

/** As much of Fastify's reply as the routes use. */
class Reply {
  /** What lies under it. */
  readonly raw = Object.assign(new EventEmitter(), {
    req: { method: "GET" },
    statusCode: 200,
    setHeader: (name: string, value: unknown): void => void this.#headers.set(name.toLowerCase(), String(value)),
  });
  readonly #headers = new Map<string, string>();
  #body: string | Readable = "";

  code(status: number): this {
    this.raw.statusCode = status;
    return this;
  }

  header(name: string, value: unknown): this {
    this.#headers.set(name, String(value));
    return this;
  }

  send(body: string | Readable = ""): this {
    this.#body = body;
    return this;
  }

  /** Sends it whole, and answers what was sent. */
  async answer(): Promise<Answer> {
    const body = typeof this.#body === "string" ? this.#body : await text(this.#body);
    this.raw.emit("finish");
    const id = (/"request_id":"([^"]+)"/.exec(body) ?? [])[1] ?? null;
    const isReplay = this.#headers.get("idempotent-replayed") === "true";
    return { status: this.raw.statusCode, code: this.#headers.get("x-error-code") ?? null, id, isReplay, body };
  }
}

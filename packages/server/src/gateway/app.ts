/** The gateway: every route, and what holds for all of them. */
import multipart from "@fastify/multipart";
import { fastify, type FastifyInstance } from "fastify";
import { InferqError } from "../core/errors.ts";
import { idMaker } from "../core/ids.ts";
import { accepter, checkBeforeBody, guardSubmits } from "./accept.ts";
import { authenticator } from "./auth.ts";
import { readJsonBodies } from "./body.ts";
import type { GatewayContext } from "./context.ts";
import { cors } from "./cors.ts";
import { answerClientError, errorHandler, sendError } from "./errors.ts";
import { fileRoutes } from "./files.ts";
import { healthRoutes, metricsRoute } from "./health.ts";
import { modelRoutes } from "./models.ts";
import type { GatewayOptions } from "./options.ts";
import { requestRoutes } from "./requests.ts";
import { routeList } from "./routes.ts";
import { submitRoute } from "./submit.ts";
import { syncRoute } from "./sync.ts";
import { uploadRoute } from "./uploads.ts";
import { baseOf } from "./urls.ts";
import { waiter } from "./waiter.ts";

/** Longer than the idle time of usual proxies (60 s), so that it is they who close: a proxy that reuses a connection which closes just then answers 502. */
const KEEP_ALIVE_MS = 75_000;
/** A client has this long to send its headers, and then its whole body; slower ones hold connections for nothing. */
const HEADERS_MS = 20_000;
const BODY_MS = 300_000;

/** Makes the gateway; `listen` and `close` are the caller's. */
export function buildGateway(options: GatewayOptions): FastifyInstance {
  const { logger, settings, store } = options;
  const onError = errorHandler(logger, settings.bodyLimitBytes);
  const app = fastify({
    logger: false, // its logger makes a child for every request; ours logs what happens to requests
    bodyLimit: settings.bodyLimitBytes,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: BODY_MS,
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: 5_000 },
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: answerClientError,
    frameworkErrors: onError,
  });
  const context: GatewayContext = {
    ...options,
    authenticate: authenticator(options.staticKeys, options.keys, options.clock),
    baseOf: baseOf(settings.publicUrl, settings.trustedProxies),
  };
  const newId = idMaker(options.clock);
  const routes = routeList(app);
  const waits = waiter(store);
  let closing = false;

  app.addHook("preClose", (done) => {
    closing = true;
    waits.stop();
    done();
  });
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0]!;
    const allowed = routes.allowed(path);
    if (allowed === "")
      return sendError(new InferqError("unknown_route", { method: request.method, path }), request, reply);
    reply.header("allow", allowed);
    sendError(new InferqError("method_not_allowed", { method: request.method, path, allowed }), request, reply);
  });

  readJsonBodies(app);
  app.decorateRequest("caller", null);
  app.decorateRequest("model", null);
  void app.register(multipart);
  cors(app, settings.corsOrigins, (path) => routes.allowed(path));

  requestRoutes(app, context);
  fileRoutes(app, context);
  modelRoutes(app, context);
  healthRoutes(app, context);
  metricsRoute(app, context);
  void app.register((scope, _options, done) => {
    guardSubmits(
      scope,
      checkBeforeBody(context, () => closing),
    );
    const accept = accepter(context, newId);
    submitRoute(scope, accept);
    syncRoute(scope, context, accept, waits);
    done();
  });
  void app.register((scope, _options, done) => {
    uploadRoute(scope, context, newId);
    done();
  });
  return app;
}

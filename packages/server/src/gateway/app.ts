/** The gateway: every route, and what holds for all of them. */
import { createServer, type RequestListener, type ServerOptions } from "node:http";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";
import { requestIds } from "../core/ids.ts";
import { accepter, checkBeforeBody, guardSubmits } from "./accept.ts";
import { auditor } from "./audit.ts";
import { doorkeeper } from "./auth.ts";
import { readBodies } from "./body.ts";
import { boundBodies } from "./body-budget.ts";
import { cancelRoute } from "./cancel.ts";
import { bruteForce } from "./brute-force.ts";
import { addressOf, whoOf } from "./client-address.ts";
import type { GatewayContext } from "./context.ts";
import { cors } from "./cors.ts";
import { deleteRoute } from "./delete.ts";
import { deadLetterRoutes } from "./dead-letters.ts";
import { deliveryRoutes } from "./deliveries.ts";
import { docsRoutes } from "./docs.ts";
import { enqueuer } from "./enqueue.ts";
import { answerClientError, failer } from "./errors.ts";
import { eventHub } from "./event-hub.ts";
import { eventTokens } from "./event-token.ts";
import { eventRoute, openEvents } from "./events.ts";
import { fileRoutes } from "./files.ts";
import { healthRoutes, metricsRoute } from "./health.ts";
import { limitSubmits } from "./limit-submits.ts";
import { limiter } from "./limits.ts";
import { listRoute } from "./list.ts";
import { modelRoutes } from "./models.ts";
import type { GatewayOptions } from "./options.ts";
import { plainSubmit } from "./plain-submit.ts";
import { requestRoutes } from "./requests.ts";
import { replayer } from "./replay.ts";
import { rerunner } from "./rerun.ts";
import { retryRoute } from "./retry.ts";
import { routeList } from "./routes.ts";
import { statusPoll } from "./status-poll.ts";
import { submitRoute } from "./submit.ts";
import { syncRoute } from "./sync.ts";
import { timelineRoute } from "./timeline.ts";
import { uploadRoute } from "./uploads.ts";
import { baseOf } from "./urls.ts";
import { waitPoll } from "./wait-poll.ts";
import { waiter } from "./waiter.ts";
import { webhookSecretRoutes } from "./webhook-secret.ts";

const SERVER: ServerOptions = {
  // Longer than the idle time of usual proxies (60 s), so that it is they who close: a proxy that sends
  // on a connection which is being closed just then answers 502.
  keepAliveTimeout: 75_000,
  // A client has this long to send its headers, and its whole request; slower ones hold connections for nothing.
  headersTimeout: 20_000,
  requestTimeout: 300_000,
  connectionsCheckingInterval: 5_000,
  // Node refuses with an empty body; here it is an error as all others are.
  requireHostHeader: false,
};

/** Makes the gateway; `listen` and `close` are the caller's. */
export function buildGateway(options: GatewayOptions): FastifyInstance {
  const { logger, settings, store } = options;
  const address = addressOf(settings.trustedProxies);
  const audit = auditor(logger, address);
  const guard = bruteForce({ ...options, addressOf: address, whoOf: whoOf(settings.trustedProxies) });
  const context: GatewayContext = {
    ...options,
    ...doorkeeper(options.staticKeys, options.keys, options.clock, guard, (key, call) => audit.usedFirst(key, call)),
    baseOf: baseOf(settings.publicUrl, settings.trustedProxies),
    ids: requestIds(options.clock, options.keys.idSecret),
    eventTokens: eventTokens(options.clock, options.keys.idSecret),
    limits: limiter(options),
    guard,
  };
  const fail = failer(logger, audit, settings.bodyLimitBytes);
  const onError = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value!);
    reply.hijack();
    fail(error, request.raw, reply.raw, request.routeOptions.url);
  };
  const enqueue = enqueuer(context);
  const rerun = rerunner(context, enqueue);
  const accept = accepter(context, enqueue);
  const poll = statusPoll(context);
  const submit = plainSubmit(context, accept, fail);
  const waits = waiter(store, ({ req }) => context.identify(req, "any") !== undefined);
  const hub = eventHub(context);
  let closing = false;
  const app = fastify({
    logger: false, // its logger makes a child for every request; ours logs what happens to requests
    bodyLimit: settings.bodyLimitBytes,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: answerClientError,
    frameworkErrors: onError,
    serverFactory: (route) => {
      const answer: RequestListener = (request, response) => {
        // There is no other protocol here. Node loses what came in one packet with the wish for one: so this is the last call.
        if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
        // While closing, every answer ends its connection: the router sees to that.
        const isAnswered =
          !closing &&
          (poll(request, response) || submit(request, response) || hold(request, response) || open(request, response));
        if (!isAnswered) route(request, response);
      };
      const hold = waitPoll(context, waits, answer);
      const open = openEvents(context, hub);
      const server = createServer(SERVER, answer);
      server.on("checkExpectation", answer); // one that is not known is ignored (RFC 9110 §10.1.1)
      server.on("connect", (_request, socket) => answerClientError(new Error("no proxy"), socket));
      return server;
    },
  });
  const routes = routeList(app);
  app.decorate("listRoutes", () => routes.all());
  app.decorate(
    "replayDeadLetter",
    replayer(context, rerun, () => closing),
  );

  app.addHook("preClose", (done) => {
    closing = true;
    waits.stop();
    audit.close();
    hub.stop();
    done();
  });
  app.setErrorHandler(onError);
  const noSuchRoute = (request: FastifyRequest, reply: FastifyReply): void => {
    const path = request.url.split("?", 1)[0]!;
    const allowed = routes.allowed(path);
    if (allowed === "")
      return onError(new InferqError("unknown_route", { method: request.method, path }), request, reply);
    reply.header("allow", allowed);
    onError(new InferqError("method_not_allowed", { method: request.method, path, allowed }), request, reply);
  };
  app.setNotFoundHandler(noSuchRoute);

  readBodies(app);
  boundBodies(app, settings.bodyLimitBytes);
  app.decorateRequest("caller", null);
  app.decorateRequest("model", null);
  app.decorateRequest("submitOptions", null);
  cors(app, settings.corsOrigins, (path) => routes.allowed(path));
  app.addHook("onRequest", (request, reply, done) => {
    // Before its body is read: nobody's key was checked.
    if (request.is404 || routes.isOther(request.method, request.url)) return noSuchRoute(request, reply);
    const hasNoHost = request.headers.host === undefined && request.raw.httpVersion !== "1.0"; // RFC 9112 §3.2
    done(hasNoHost ? new InferqError("bad_host") : undefined);
  });

  requestRoutes(app, context);
  eventRoute(app, context, hub);
  cancelRoute(app, context);
  listRoute(app, context);
  timelineRoute(app, context);
  deliveryRoutes(app, context);
  webhookSecretRoutes(app, context);
  deleteRoute(app, context);
  retryRoute(app, context, rerun, () => closing);
  deadLetterRoutes(app, context, rerun, () => closing);
  fileRoutes(app, context);
  modelRoutes(app, context);
  healthRoutes(app, context);
  metricsRoute(app, context);
  docsRoutes(app, context);
  void app.register((scope, _options, done) => {
    guardSubmits(
      scope,
      checkBeforeBody(context, () => closing),
    );
    limitSubmits(scope, context.limits, store);
    submitRoute(scope, context, accept, waits);
    syncRoute(scope, context, accept, waits);
    done();
  });
  void app.register((scope, _options, done) => {
    uploadRoute(scope, context);
    done();
  });
  return app;
}

/** Which methods a path takes, for answers 405 and OPTIONS; learned from the routes as they are registered. */
import type { FastifyInstance } from "fastify";

export interface RouteList {
  /** Every route as `METHOD path`, sorted. */
  all(): string[];
  /** Whether the path of `url` is a route of its own that does not take `method`: `/v2/requests` is no model. All take OPTIONS. */
  isOther(method: string, url: string): boolean;
  /** The methods that `path` takes, as in an Allow header; "" if there is no such path. */
  allowed(path: string): string;
}

/** Watches the routes of `app`; call it before the first is registered. */
export function routeList(app: FastifyInstance): RouteList {
  const methods = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ method, url }) => {
    const known = methods.get(url) ?? new Set();
    methods.set(url, known);
    for (const one of [method].flat()) known.add(one);
  });

  return {
    all: () => [...methods].flatMap(([url, of]) => [...of].map((method) => `${method} ${url}`)).sort(),
    isOther(method, url) {
      const own = method === "OPTIONS" ? undefined : methods.get(url.split("?", 1)[0]!);
      return own !== undefined && !own.has(method);
    },
    allowed(path) {
      const exact = methods.get(path);
      const found = exact ?? [...methods].find(([url]) => url !== "/*" && pattern(url).test(path))?.[1];
      return [...(found ?? [])].sort().join(", ");
    },
  };
}

/** `/v2/requests/:id` → what it matches. */
function pattern(url: string): RegExp {
  const source = url.replace(/[.]/g, "\\.").replace(/:\w+/g, "[^/]+").replace(/\*$/, ".+");
  return new RegExp(`^${source}$`);
}

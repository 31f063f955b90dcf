/** How much of large bodies the server holds at a time: without a bound, a few clients could take all of its memory. */
import { Transform } from "node:stream";
import type { FastifyInstance } from "fastify";
import { InferqError } from "../core/errors.ts";

/** So many of the largest bodies, or more that are smaller. A body costs about twice its size while it is worked on. */
const LARGEST_BODIES = 8;
/** Smaller ones are not counted: connections bound them. */
const SMALL_BYTES = 64 * 1024;

/**
 * Refuses a body with `server_busy` once all bodies that have come and are not yet answered hold more than
 * `LARGEST_BODIES` times `limitBytes`. Counted is what came, not what was announced, so that nobody takes
 * the room of others by sending slowly.
 */
export function boundBodies(app: FastifyInstance, limitBytes: number): void {
  let held = 0;
  app.addHook("preParsing", (request, reply, payload, done) => {
    if (Number(request.headers["content-length"]) <= SMALL_BYTES) return done(null, payload);
    let own = 0;
    reply.raw.once("close", () => (held -= own));
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        own += chunk.length;
        held += chunk.length;
        if (held > limitBytes * LARGEST_BODIES) next(new InferqError("server_busy"));
        else next(null, chunk);
      },
    });
    done(null, payload.pipe(counter));
  });
}

/** How much of large bodies the server holds at a time: without a bound, a few clients could take all of its memory. */
import { Transform } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { InferqError } from "../core/errors.ts";

/** So many of the largest bodies, or more that are smaller. A body costs about twice its size while it is worked on. */
const LARGEST_BODIES = 8;
/** Smaller ones are not counted: connections bound them. */
const SMALL_BYTES = 64 * 1024;

declare module "fastify" {
  interface FastifyRequest {
    /** Gives back the room that its body takes. */
    leaveRoom: (() => void) | null;
  }
}

/**
 * Refuses a body with `server_busy` once all bodies that have come and are neither answered nor freed hold
 * more than `LARGEST_BODIES` times `limitBytes`. Counted is what came, not what was announced, so that nobody takes
 * the room of others by sending slowly.
 */
export function boundBodies(app: FastifyInstance, limitBytes: number): void {
  let held = 0;
  app.decorateRequest("leaveRoom", null);
  app.addHook("preParsing", (request, reply, payload, done) => {
    if (Number(request.headers["content-length"]) <= SMALL_BYTES) return done(null, payload);
    let own = 0;
    const leaveRoom = (): void => {
      held -= own;
      own = 0;
    };
    request.leaveRoom = leaveRoom;
    reply.raw.once("close", leaveRoom);
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

/** Forgets the body of a request that has been accepted, so that whoever waits for its outcome takes no room from others. */
export function freeBody(request: FastifyRequest): void {
  request.body = undefined;
  request.leaveRoom?.();
}

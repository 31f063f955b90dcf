/** Takes the measured server's own answers for the floor to replay, and checks that it replays them. */
import { type Answer, httpRequest } from "./connection.ts";
import type { CannedAnswer } from "./floor.ts";
import { Floor, HEADERS, ask } from "./processes.ts";

/** Written by `node:http` itself, in the floor as in the server. */
const OWN = new Set(["date", "connection", "keep-alive"]);

/** A floor that answers GET like `getPath` and POST like a submit are answered on `port`. */
export async function floorOf(port: number, getPath: string, post: Answer): Promise<Floor> {
  const get = await ask(port, httpRequest(getPath, HEADERS));
  const seconds = /\r\nkeep-alive: *timeout=(\d+)/i.exec(get.head)?.[1];
  const keepAliveMs = seconds === undefined ? 0 : Number(seconds) * 1000;
  const floor = await Floor.start({ get: canned(get), post: canned(post), keepAliveMs });
  for (const [real, request] of [
    [get, httpRequest(getPath, HEADERS)],
    [post, httpRequest("/", HEADERS, "{}")],
  ] as const) {
    const replayed = await ask(floor.port, request);
    if (comparable(replayed) !== comparable(real)) {
      throw new Error(`The floor does not answer as the server does.\nServer:\n${real.head}\nFloor:\n${replayed.head}`);
    }
  }
  return floor;
}

function canned({ status, head, body }: Answer): CannedAnswer {
  const headers = lines(head).filter(([name]) => !OWN.has(name!.toLowerCase()));
  return { status, reason: head.slice(13, head.indexOf("\r\n")), headers: headers.flat(), body };
}

/** An answer without the value of its Date and the order of its headers. */
function comparable({ head, body }: Answer): string {
  const headers = lines(head).map(([name, value]) => `${name}: ${name!.toLowerCase() === "date" ? "" : value}`);
  return [head.slice(0, head.indexOf("\r\n")), ...headers.sort(), body].join("\n");
}

function lines(head: string): string[][] {
  return head
    .split("\r\n")
    .slice(1)
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
}

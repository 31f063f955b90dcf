/** Talking to whichever server lives, and what no answer may ever be. */
import { setTimeout as wait } from "node:timers/promises";
import { type Answer, type Ask, ask, isAnswer, type NoAnswer } from "../lib/http.ts";
import { AUTH } from "../lib/server.ts";
import type { World } from "./world.ts";

/** Asks the server that lives, or the next one. 503 is a server's that stops, or holds as many large bodies as it may. */
export async function say(world: World, what: Ask): Promise<Answer | NoAnswer> {
  const { lives, ledger } = world;
  const life = await lives.up();
  const answer = await ask(life.base, { ...what, headers: { ...AUTH, ...what.headers } });
  const asked = `${what.method ?? "GET"} ${what.path}`;
  if (!isAnswer(answer)) {
    if (answer.none === "late" && lives.undisturbed(answer.askedAt)) ledger.problem(`${asked} was never answered`);
    else if (answer.none !== "late") await wait(20); // whatever broke the connection is soon known
    return answer;
  }
  world.answers += 1;
  const code = String(answer.headers["x-error-code"]);
  const stops = code === "shutting_down" && life.stoppingAt < answer.answeredAt;
  if (answer.status >= 500 && !(answer.status === 503 && (stops || code === "server_busy"))) {
    ledger.problem(`${asked} was answered ${answer.status} ${code}: ${clip(answer)}`);
  }
  return answer;
}

export function clip(answer: Answer): string {
  const text = answer.body.toString();
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** The servers that webhooks go to, and the network between: it loses, delays and doubles, and they have their bad hours. */
import type { Posted, Poster } from "../../../packages/server/src/webhook/post.ts";
import { machine, Process } from "../machine.ts";
import type { Ledger } from "./ledger.ts";
import type { Troubles } from "./settings.ts";

export const HOSTS: readonly string[] = ["one.example", "two.example", "three.example"];

/** What the real one gives an answer. */
const TIMEOUT_MS = 15_000;

type Mood = "well" | "down" | "failing" | "busy" | "gone";

export class Receivers {
  readonly #ledger: Ledger;
  readonly #troubles: Troubles;
  readonly #process = new Process("receivers");
  readonly #moods = new Map<string, { mood: Mood; until: number }>();
  isQuiet = false;

  constructor(ledger: Ledger, troubles: Troubles) {
    this.#ledger = ledger;
    this.#troubles = troubles;
  }

  /** What stands in for the server's poster. */
  poster(): Poster {
    const underWay = new Set<(posted: Posted | undefined) => void>();
    const poster = {
      post: (url: URL, headers: Readonly<Record<string, string>>, body: string): Promise<Posted | undefined> => {
        const { promise, resolve } = Promise.withResolvers<Posted | undefined>();
        underWay.add(resolve);
        const server = machine().current;
        const answer = (posted: Posted): void =>
          machine().send(server, 5 * machine().random.next(), () => resolve(posted));
        machine().after(TIMEOUT_MS, () => resolve({ status: null, error: "The receiver did not answer within 15 s." }));
        this.#deliver(url.host, headers["webhook-id"]!, body, answer);
        return promise.finally(() => underWay.delete(resolve));
      },
      abort: (): void => {
        for (const resolve of underWay) resolve(undefined);
      },
      [Symbol.asyncDispose]: (): Promise<void> => Promise.resolve(poster.abort()),
    };
    return poster as unknown as Poster;
  }

  #deliver(host: string, id: string, body: string, answer: (posted: Posted) => void): void {
    const { random } = machine();
    const lost = this.isQuiet ? 0 : this.#troubles.webhookLost;
    if (random.chance(lost)) return this.#ledger.count("webhook lost");
    const arrives = (reply: (posted: Posted) => void): void =>
      machine().send(this.#process, 20 * random.next(), () => {
        const posted = this.#receive(host, id, body);
        if (random.chance(lost)) this.#ledger.count("webhook's answer lost");
        else reply(posted);
      });
    arrives(answer);
    if (random.chance(lost / 2)) arrives(() => this.#ledger.count("webhook twice"));
  }

  #receive(host: string, id: string, body: string): Posted {
    const mood = this.#moodOf(host);
    if (mood !== "down") this.#ledger.webhook(id, body);
    switch (mood) {
      case "down":
        return { status: null, error: "The receiver could not be told: the connection was refused." };
      case "failing":
        return { status: 500, retryAfter: undefined };
      case "busy":
        return { status: 429, retryAfter: "7" };
      case "gone":
        this.#ledger.count("webhook given up");
        this.#ledger.acknowledged.add(id);
        return { status: 410, retryAfter: undefined };
      case "well":
        this.#ledger.count("webhook delivered");
        this.#ledger.acknowledged.add(id);
        return { status: 200, retryAfter: undefined };
    }
  }

  #moodOf(host: string): Mood {
    if (this.isQuiet) return "well";
    const { random, time } = machine();
    let now = this.#moods.get(host);
    if (now === undefined || now.until <= time) {
      const mood = random.chance(this.#troubles.receiverBad)
        ? random.pick(["down", "down", "failing", "failing", "busy", "gone"] as const)
        : "well";
      const ms = random.chance(0.1) ? 3_600_000 * random.next() : 20_000 * random.next();
      this.#moods.set(host, (now = { mood, until: time + ms }));
    }
    return now.mood;
  }
}

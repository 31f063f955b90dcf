/** Clients, each a loop of calls; and the network between them and the server, which loses, delays and doubles. */
import { idExpiresAt, idTime } from "../../../packages/server/src/core/ids.ts";
import { type ApiKey, PLAIN_KEY } from "../../../packages/server/src/store/keys.ts";
import { machine, Process } from "../machine.ts";
import type { Answer, Call } from "./gateway.ts";
import type { Ledger, Told, Wish } from "./ledger.ts";
import { picture } from "./models.ts";
import { HOSTS } from "./receivers.ts";
import type { SimulatedServer } from "./server.ts";
import type { Settings } from "./settings.ts";

/** How long a client waits for an answer, ms. */
const PATIENCE_MS = 2_000;

/** How soon it hears that no server listens, ms. */
const REFUSED_MS = 1_500;

const CALLERS: readonly ApiKey[] = ["ada", "bob", "ada-2"].map((name) => ({
  ...PLAIN_KEY,
  name,
  owner: name.slice(0, 3),
  hash: name,
  createdAt: 0,
  requestsInFlight: name === "ada-2" ? 10 : null,
}));

export interface ClientsOptions {
  readonly settings: Settings;
  readonly ledger: Ledger;
  /** The server that answers now. */
  readonly server: () => SimulatedServer | null;
}

export class Clients {
  readonly #options: ClientsOptions;
  /** Requests that clients may ask about, the latest last. */
  readonly #known: Told[] = [];
  /** Files that a result named. */
  readonly #files = new Map<string, string>();
  readonly #inHaste = new Process("client in haste");
  #submits = 0;
  isQuiet = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.ledger.onRunEnd = (id) => this.#cancel(id);
    for (let i = 0; i < this.#options.settings.clients; i++) {
      machine().as(new Process(`client ${i + 1}`), () => machine().after(0, () => void this.#live()));
    }
  }

  /** Somebody cancels it just when it ends: one of the two counts. */
  #cancel(id: string): void {
    const told = this.#options.ledger.told.get(id);
    if (told === undefined || this.isQuiet || !machine().random.chance(0.05)) return;
    machine().as(this.#inHaste, () => machine().after(0, () => void this.#ask(told, CANCEL)));
  }

  async #live(): Promise<void> {
    const { thinkMs } = this.#options.settings;
    const { random } = machine();
    while (!this.isQuiet) {
      const known = this.#known.length === 0 ? undefined : this.#pickKnown();
      const dice = random.next();
      if (known === undefined || dice < 0.4) await this.#submit();
      else await this.#ask(known, dice);
      await pause(thinkMs * random.next());
    }
  }

  /** Mostly one of the latest. */
  #pickKnown(): Told {
    const { random } = machine();
    const back = Math.floor(this.#known.length * random.next() ** 3);
    return this.#known[this.#known.length - 1 - back]!;
  }

  async #submit(): Promise<void> {
    const { random } = machine();
    const number = (this.#submits += 1);
    const caller = random.pick(CALLERS);
    const model = random.chance(0.6) ? "say" : "draw";
    const events = random.pick(["completed,failed", "completed,failed", "completed", "failed"]);
    const host = random.pick(HOSTS);
    const headers: Record<string, string> = {};
    const query: Record<string, string> = {};
    if (random.chance(0.4)) headers["idempotency-key"] = random.chance(0.2) ? "again" : `key ${number}`;
    if (random.chance(0.2)) headers["x-priority"] = random.pick(["low", "high"]);
    if (random.chance(0.2)) headers["x-result-ttl"] = String(random.pick([1, 5, 20]));
    else if (random.chance(0.1)) headers["x-keep-until-read"] = "true";
    if (random.chance(0.15)) headers["x-start-timeout"] = random.pick(["0.5", "1"]);
    if (random.chance(0.1)) headers["x-run-timeout"] = "1.5";
    if (random.chance(0.5)) {
      query["webhook"] = `http://${host}/hook`;
      query["webhook_events"] = events;
      query["webhook_body"] = random.pick(["full", "full", "thin"]);
    }
    const says = `picture ${number}`;
    const fields = model === "say" ? { prompt: `${number}` } : { image: dataUri(says), prompt: `${number}` };
    const call: Call = { route: "POST /v2/:model", caller, model, headers, query, fields };
    const wish = {
      picture: model === "draw" ? says : null,
      webhook: "webhook" in query ? { host, events: events.split(",") } : null,
      keepMs: headers["x-keep-until-read"] === undefined ? null : this.#options.settings.resultTtlSeconds * 1000,
    };
    await this.#insist(call, wish, headers["idempotency-key"] ?? null);
  }

  /** With a key the same is sent until an answer comes: nothing can come of it twice. */
  async #insist(
    call: Call,
    wish: Omit<Wish, "owner" | "idempotencyKey">,
    idempotencyKey: string | null,
  ): Promise<void> {
    const { ledger } = this.#options;
    for (let tries = 1; tries <= 4 && !this.isQuiet; tries++) {
      const answer = await this.#call(call, (told, now) => {
        if (told.status !== 200 || told.id === null) return;
        ledger.count(told.isReplay ? "submit replayed" : "submit accepted");
        const { id } = told;
        const { owner } = call.caller;
        ledger.accepted(id, { ...wish, owner, idempotencyKey }, idExpiresAt(id) ?? this.#longest(id), now);
      });
      if (answer?.id != null) {
        const told = ledger.told.get(answer.id);
        if (told !== undefined && !this.#known.includes(told)) this.#known.push(told);
      }
      if (idempotencyKey === null || (answer !== undefined && answer.status < 500)) return;
      await pause(1_000 * machine().random.next());
    }
  }

  #longest(id: string): number {
    const { resultTtlSeconds, resultTtlLimitSeconds } = this.#options.settings;
    return idTime(id) + Math.max(resultTtlSeconds, resultTtlLimitSeconds) * 1000;
  }

  async #ask(known: Told, dice: number): Promise<void> {
    const { ledger } = this.#options;
    const { id, owner } = known;
    const caller = CALLERS.find((one) => one.owner === owner)!;
    const route = ROUTES.find(([most]) => dice < most)![1];
    switch (route) {
      case "GET /v2/requests/:id/status":
      case "GET /v2/requests/:id":
        await this.#call({ route, caller, id }, (answer, now) => this.#told(id, route, answer, now));
        return;
      case "GET /files/*": {
        const [key, of] = [...this.#files].at(-1) ?? [];
        if (key === undefined) return;
        const said = ledger.told.get(of!)!;
        await this.#call({ route, caller, id: key }, ({ status, body }, now) => {
          if (status === 404) ledger.missing(of!, now, "a file");
          else if (status === 200 && !body.includes(`of ${said.id}/`))
            ledger.fail(`nothing lost: a file of ${of} says ${body}`);
        });
        return;
      }
      case "GET /v2/requests":
        await this.#call({ route, caller }, ({ status, body }) => {
          if (status === 200) this.#listed(JSON.parse(body) as Listed);
        });
        return;
      case "DELETE /v2/requests/:id":
        // From when it is asked for nobody can count on it any more.
        known.isDeleted = true;
        await this.#call({ route, caller, id }, () => ledger.count("delete"));
        return;
      case "POST /v2/requests/:id/cancel":
        await this.#call({ route, caller, id }, ({ status, code }, now) => {
          if (status === 404) return ledger.missing(id, now, "a cancel");
          if (status !== 200) return;
          ledger.count("cancel");
          ledger.saw(id, { status: "FAILED", code }, "a cancel");
        });
        return;
      case "POST /v2/requests/:id/retry": {
        const key = `retry ${(this.#submits += 1)}`;
        const headers = { "idempotency-key": key };
        const { picture: says, webhook, keepMs } = known;
        return await this.#insist({ route, caller, id, headers }, { picture: says, webhook, keepMs }, key);
      }
      default:
        await this.#call({ route, caller, id }, ({ status }) => {
          if (status === 200) ledger.count("redelivery");
        });
    }
  }

  /** A poll was answered. */
  #told(id: string, route: string, { status, code, body }: Answer, now: number): void {
    const { ledger } = this.#options;
    if (status === 404) return ledger.missing(id, now, route);
    if (status !== 200 && status !== 422) return;
    const data = JSON.parse(body) as Readonly<Record<string, unknown>>;
    if (data["status"] === "FAILED") {
      ledger.saw(id, { status: "FAILED", code, error: data["error"] as string }, route);
    } else if (data["status"] === "COMPLETED") {
      const images = data["images"] as { url: string }[] | undefined;
      const output = images?.map(({ url }) => url).join(" ") ?? (data["output"] as string | undefined) ?? null;
      for (const { url } of images ?? []) this.#files.set(new URL(url).pathname.slice("/files/".length), id);
      ledger.saw(id, { status: "COMPLETED", output }, route);
    } else ledger.sawUnfinished(id, route);
    if (route === "GET /v2/requests/:id" && (data["status"] === "FAILED" || data["status"] === "COMPLETED"))
      ledger.read(id, now);
  }

  #listed({ requests }: Listed): void {
    const { ledger } = this.#options;
    for (const { request_id: id, status, error, error_code: code } of requests) {
      if (status === "COMPLETED" || status === "FAILED") ledger.saw(id, { status, error, code }, "a list");
      else ledger.sawUnfinished(id, "a list");
    }
  }

  /** `told` learns of the answer when it leaves the server, with the server's time; the client, if the network has it so. Undefined: none came. */
  #call(call: Call, told: (answer: Answer, now: number) => void): Promise<Answer | undefined> {
    const { settings, ledger } = this.#options;
    const { random, current: client } = machine();
    const { lost, twice } = settings.troubles;
    const server = this.#options.server();
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const due = machine().after(PATIENCE_MS, () => resolve(undefined));
    const answered = (answer: Answer): void => {
      due.cancel();
      resolve(answer);
    };
    const arrive = async ({ process, clock, call: ask }: SimulatedServer): Promise<void> => {
      if (this.isQuiet) return;
      const answer = await ask(call);
      if (!process.lives) return; // what it would have said when it died in this very step, nobody hears
      told(answer, clock.now());
      if (random.chance(lost)) ledger.count("answer lost");
      else machine().send(client, 5 * random.next(), () => answered(answer));
    };
    if (server === null) {
      machine().after(REFUSED_MS, () => answered({ status: 503, code: null, id: null, isReplay: false, body: "" }));
      return promise;
    }
    if (random.chance(lost)) return promise;
    machine().send(server.process, 5 * random.next(), () => void arrive(server));
    if (random.chance(twice)) machine().send(server.process, 50 * random.next(), () => void arrive(server));
    return promise;
  }
}

interface Listed {
  readonly requests: readonly {
    readonly request_id: string;
    readonly status: "QUEUED" | "PROCESSING" | "COMPLETED" | "FAILED";
    readonly error: string | null;
    readonly error_code: string | null;
  }[];
}

/** Where the dice lie for a cancel. */
const CANCEL = 0.9;

/** What clients ask about, each up to where of the dice. */
const ROUTES = [
  [0.55, "GET /v2/requests/:id/status"],
  [0.72, "GET /v2/requests/:id"],
  [0.78, "GET /files/*"],
  [0.82, "GET /v2/requests"],
  [0.86, "DELETE /v2/requests/:id"],
  [0.92, "POST /v2/requests/:id/cancel"],
  [0.96, "POST /v2/requests/:id/retry"],
  [1, "POST /v2/webhooks/deliveries/:id/redeliver"],
] as const;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => machine().after(ms, resolve));
}

function dataUri(says: string): string {
  return `data:image/png;base64,${picture(says).toString("base64")}`;
}

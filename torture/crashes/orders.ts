/** Orders: submits of all kinds, drawn by chance, with what must become of them. */
import type { Random } from "../simulation/random.ts";
import { digest, picture, bytesOf } from "./work.ts";
import { type Facts, type World } from "./world.ts";

/** A submit as it goes over the wire; sent again it is the same to the byte. */
export interface Order {
  readonly facts: Facts;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  readonly lifeMs: number | null;
}

interface Input {
  readonly model: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly fate?: Facts["fate"];
  readonly material?: string;
  readonly pictures?: number;
  /** A file to send as part of a form, under the name `image`. */
  readonly file?: Uint8Array;
}

/** Long enough that a life ends while the request waits, runs or has just finished. */
const LIVES_S = [3, 8, 20] as const;

/** One order. `nonce` is its own; `webhooks` are where outcomes may be told. */
export function order(nonce: string, random: Random, { receivers }: Pick<World, "receivers">): Order {
  const input = drawInput(nonce, random);
  const headers: Record<string, string> = {};
  const query = new URLSearchParams();
  const webhook = random.chance(0.35);
  if (webhook) query.set("webhook", random.pick(receivers).url);
  if (webhook && random.chance(0.3)) query.set("webhook_body", "thin");
  if (random.chance(0.1)) query.set("wait", "2");
  const idempotencyKey = random.chance(0.5) ? `key-${nonce}` : null;
  if (idempotencyKey !== null) headers["idempotency-key"] = idempotencyKey;
  const life = random.chance(0.12) ? random.pick(LIVES_S) : null;
  if (life !== null) headers["x-result-ttl"] = String(life);
  const startTimeout = random.chance(0.05);
  if (startTimeout) headers["x-start-timeout"] = "2";
  if (random.chance(0.2)) headers["x-priority"] = random.pick(["low", "normal", "high"]);

  const { model, fields, fate = "completes", material = "-", pictures = 0, file } = input;
  const size = fields["size"] as number;
  const facts = {
    nonce,
    model,
    fate,
    size,
    material,
    pictures,
    webhook,
    startTimeout,
    idempotencyKey,
    cancelled: false,
  };
  const path = `/v2/${model}${query.size === 0 ? "" : `?${query.toString()}`}`;
  const sent = file === undefined ? json(fields) : form(fields, file);
  return {
    facts,
    path,
    headers: { ...headers, "content-type": sent.type },
    body: sent.body,
    lifeMs: life && life * 1000,
  };
}

function drawInput(nonce: string, random: Random): Input {
  const ms = random.whole(10, 1_500);
  const kind = random.next();
  const size = random.whole(1, 2_000);
  if (kind < 0.4) return { model: "words", fields: { nonce, how: "quick", size } };
  if (kind < 0.5) return { model: "words", fields: { nonce, how: "slow", size, ms } };
  if (kind < 0.55) return { model: "words", fields: { nonce, how: "quick", size: random.whole(60_000, 200_000) } };
  if (kind < 0.6) {
    const payload = bytesOf(`payload ${nonce}`, random.whole(50_000, 200_000)).toString("base64");
    return { model: "words", fields: { nonce, how: "quick", size, payload }, material: digest(payload) };
  }
  if (kind < 0.63) return { model: "words", fields: { nonce, how: "fails", size }, fate: "fails" };
  if (kind < 0.68)
    return { model: "words", fields: { nonce, how: "again", size, tries: random.whole(1, 4) }, fate: "again" };
  if (kind < 0.86) return drawPictures(nonce, random, ms);
  if (kind < 0.95) {
    const dies = random.chance(0.3) ? random.pick(["exits", "faults", "is killed"]) : "not";
    const deaths = dies === "not" ? 0 : random.pick([1, 2, 99]);
    const fate = deaths === 99 ? "poison" : "completes";
    return { model: "mortal", fields: { nonce, dies, deaths, size, ms: Math.round(ms / 10) }, fate };
  }
  const busy = random.chance(0.3);
  return {
    model: "deaf",
    fields: { nonce, busy, size, ms: busy ? Math.round(ms / 5) : random.chance(0.05) ? 8_000 : ms },
  };
}

function drawPictures(nonce: string, random: Random, ms: number): Input {
  const count = random.whole(1, 3);
  const fields = { nonce, count, size: random.whole(100, 50_000), ms: random.chance(0.3) ? Math.round(ms / 2) : 0 };
  const kind = random.next();
  if (kind < 0.4) return { model: "pictures", fields, pictures: count };
  const image = picture(`image ${nonce}`, random.whole(100, 100_000));
  const rest = { model: "pictures", material: digest(image), pictures: count };
  if (kind < 0.7) return { ...rest, fields, file: image };
  const base64 = Buffer.from(image).toString("base64");
  return { ...rest, fields: { ...fields, image: kind < 0.85 ? base64 : `data:image/png;base64,${base64}` } };
}

function json(fields: Readonly<Record<string, unknown>>): { type: string; body: string } {
  return { type: "application/json", body: JSON.stringify(fields) };
}

/** A form as browsers send it (RFC 7578); its boundary is the same each time, so that the same order is the same bytes. */
function form(fields: Readonly<Record<string, unknown>>, file: Uint8Array): { type: string; body: Uint8Array } {
  const boundary = "-----torture";
  const part = (head: string): string => `--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n`;
  const texts = Object.entries(fields).map(([name, value]) => `${part(`name="${name}"`)}\r\n${String(value)}\r\n`);
  const head = `${texts.join("")}${part('name="image"; filename="image.png"')}content-type: image/png\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head), file, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { type: `multipart/form-data; boundary=${boundary}`, body };
}

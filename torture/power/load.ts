/** What clients do to a server before it loses its power: everything that it promises to keep. */
import type { Random } from "../simulation/random.ts";
import { type Caller, Refused, type Wish } from "./caller.ts";
import type { Work } from "./work.ts";

/** Clients at once. */
const CLIENTS = 8;

type Story = (caller: Caller, wish: Wish) => Promise<unknown>;

/** With a wish of no particular kind; each tells more than one thing that must be kept. */
const STORIES: readonly Story[] = [
  async (caller, wish) => await caller.submit(wish),
  async (caller, wish) => await caller.follow(await caller.submit(wish)),
  async (caller, wish) => await caller.follow(await caller.submit(ofKind(wish, "image", 20_000))),
  async (caller, wish) =>
    await caller.follow(await caller.submit({ ...ofKind(wish, "image", 5_000), picture: "data" })),
  async (caller, wish) => await caller.follow(await caller.submit({ ...ofKind(wish, "text", 500), picture: "upload" })),
  // A form's boundary is new each time: one that is sent again is not the same submit.
  async (caller, { work, webhook = false }) =>
    await caller.follow(await caller.submit({ work, webhook, picture: "form" })),
  // Too long for a row, the input and the output.
  async (caller, wish) => await caller.follow(await caller.submit({ ...wish, padding: 100_000 })),
  async (caller, wish) => await caller.follow(await caller.submit(ofKind(wish, "text", 100_000))),
  async (caller, wish) => await caller.cancel(await caller.submit({ ...wish, work: { ...wish.work, ms: 300 } })),
  async (caller, wish) => await caller.delete(await caller.submit(wish)),
  async (caller, wish) => {
    const request = await caller.submit(ofKind(wish, "image", 5_000));
    await caller.follow(request);
    await caller.delete(request);
  },
  async (caller, wish) => {
    const request = await caller.submit({ ...ofKind(wish, "image", 2_000), picture: "data" });
    await caller.follow(request);
    await caller.follow(await caller.retry(request));
  },
  async (caller, wish) => {
    const request = await caller.submit({ ...wish, idempotencyKey: wish.work.nonce });
    const again = await caller.resubmit(request);
    if (again !== request.id) throw new Refused(`${request.id} was submitted again and is now ${again}`);
  },
];

/** Rotations of the webhook secret in a life: one client's, so that it is known which is the last. */
const ROTATIONS = 3;

/** So many stories, told by several clients at once. Answers what was refused. */
export async function load(caller: Caller, stories: number, name: string, random: Random): Promise<string[]> {
  const refused: string[] = [];
  const attempt = async (story: () => Promise<unknown>): Promise<void> => {
    try {
      await story();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(error.message);
    }
  };
  let told = 0;
  const client = async (): Promise<void> => {
    while (told < stories) {
      const number = told++;
      const nonce = `${name}-${number}`;
      const story = STORIES[number % STORIES.length]!;
      await attempt(() => story(caller, wishOf(nonce, random)));
    }
  };
  const rotate = async (): Promise<void> => {
    for (let turn = 0; turn < ROTATIONS; turn++) await attempt(() => caller.rotateSecret());
  };
  await Promise.all([...Array.from({ length: CLIENTS }, client), rotate()]);
  return refused;
}

function wishOf(nonce: string, random: Random): Wish {
  return {
    work: { nonce, kind: random.pick(["image", "text"]), size: random.whole(1, 3_000), ms: random.pick([0, 0, 20]) },
    webhook: random.chance(0.4),
    ...(random.chance(0.3) && { idempotencyKey: nonce }),
  };
}

function ofKind(wish: Wish, kind: Work["kind"], size: number): Wish {
  return { ...wish, work: { ...wish.work, kind, size } };
}

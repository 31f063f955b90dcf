import type { DatabaseSync } from "node:sqlite";
import type { DeadLetter, DeadLetterWish } from "../store.ts";
import { idFromBytes, idToBytes } from "./id-bytes.ts";
import { BEFORE_ALL_IDS, BEHIND_ALL_IDS, type Stretch } from "./lister.ts";
import { DEAD_LETTER_STATES } from "./messages.ts";
import { STATUS_COLUMNS, toStatus, type StatusRow } from "./status-row.ts";

/** Entries of the index looked at in one step; some milliseconds. */
const STEP_ENTRIES = 10_000;

const ALL = "FROM requests INDEXED BY dead_letters WHERE dead_letter > 0";

interface Row extends StatusRow {
  readonly api_key: string;
  readonly attempts: number;
  readonly crashes: number;
  readonly dead_letter: number;
}

interface IdRow {
  readonly id: Uint8Array;
}

/** Lists dead letters by their index, which alone is read for those that are not asked for. */
export function deadLetterLister(db: DatabaseSync): (wish: DeadLetterWish, now: number) => Stretch<DeadLetter> {
  const ids = db.prepare(
    `SELECT id ${ALL} AND id >= $from AND id < $before AND ($owner IS NULL OR owner = $owner)
      AND ($model IS NULL OR model = $model) AND ($state IS NULL OR dead_letter = $state) ORDER BY id DESC LIMIT $most`,
  );
  const lastOfStep = db.prepare(`SELECT id ${ALL} AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ENTRIES - 1}`);
  const one = db.prepare(
    `SELECT ${STATUS_COLUMNS}, api_key, attempts, crashes, dead_letter FROM requests WHERE id = ? AND expires_at > ?`,
  );

  return ({ owner, model, state, before, limit }, now) => {
    const end = before === undefined ? BEHIND_ALL_IDS : idToBytes(before, new Uint8Array(16));
    const last = lastOfStep.get(end) as IdRow | undefined;
    const matching = ids.all({
      $from: last?.id ?? BEFORE_ALL_IDS,
      $before: end,
      $owner: owner ?? null,
      $model: model ?? null,
      $state: state === undefined ? null : DEAD_LETTER_STATES.indexOf(state),
      $most: limit + 1,
    }) as unknown as IdRow[];
    const found = matching.slice(0, limit).flatMap(({ id }) => {
      const row = one.get(id, now) as Row | undefined;
      return row === undefined ? [] : [toDeadLetter(idFromBytes(id), row)];
    });
    const next = matching.length > limit ? matching[limit - 1] : last;
    return { found, next: next === undefined ? null : idFromBytes(next.id) };
  };
}

function toDeadLetter(id: string, row: Row): DeadLetter {
  const { api_key: key, attempts, crashes } = row;
  return { ...toStatus(id, row), key, attempts, crashes, state: DEAD_LETTER_STATES[row.dead_letter]! };
}

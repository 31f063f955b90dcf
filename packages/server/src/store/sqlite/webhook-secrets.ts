/** The secrets of webhooks, beside the keys: an owner's is made with its first key. */
import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../core/clock.ts";
import type { WebhookSecret, WebhookSecrets } from "../keys.ts";
import { inTransaction } from "./transaction.ts";

/** Secrets of an owner that sign at a time: each is a signature in a header, of which receivers take no more than some KB. */
const MOST_SIGN = 5;

export interface StoredWebhookSecrets extends WebhookSecrets {
  /** Makes the secret of `owner` if it has none, inside a transaction of the caller's. */
  ensure(owner: string): void;
  /** Others may have changed them. */
  forget(): void;
}

interface Row {
  readonly secret: string;
  readonly created_at: number;
  readonly expires_at: number | null;
}

export function webhookSecrets(db: DatabaseSync, clock: Clock): StoredWebhookSecrets {
  const ofOwner = db.prepare(
    "SELECT * FROM webhook_secrets WHERE owner = ? ORDER BY expires_at IS NOT NULL, number DESC",
  );
  const present = db.prepare("SELECT 1 FROM webhook_secrets WHERE owner = ? AND expires_at IS NULL");
  const insert = db.prepare("INSERT INTO webhook_secrets (owner, secret, created_at) VALUES (?, ?, ?)");
  const shorten = db.prepare(
    "UPDATE webhook_secrets SET expires_at = min(ifnull(expires_at, ?1), ?1) WHERE owner = ?2",
  );
  const drop = db.prepare("DELETE FROM webhook_secrets WHERE expires_at <= ?");
  const dropOldest = db.prepare(
    `DELETE FROM webhook_secrets WHERE owner = ?1 AND number <=
      (SELECT number FROM webhook_secrets WHERE owner = ?1 ORDER BY number DESC LIMIT 1 OFFSET ${MOST_SIGN})`,
  );
  /** The present one first; those that were asked for. */
  const byOwner = new Map<string, readonly WebhookSecret[]>();

  function ensure(owner: string): void {
    if (present.get(owner) === undefined) insert.run(owner, newSecret(), clock.now());
  }

  function load(owner: string): readonly WebhookSecret[] {
    const secrets = (ofOwner.all(owner) as unknown as Row[]).map(toSecret);
    byOwner.set(owner, secrets);
    return secrets;
  }

  function made(owner: string): readonly WebhookSecret[] {
    inTransaction(db, () => ensure(owner));
    return load(owner);
  }

  function isOver({ expiresAt }: WebhookSecret): boolean {
    return expiresAt !== null && expiresAt <= clock.now();
  }

  return {
    ensure,
    forget: () => byOwner.clear(),
    secretsOf(owner) {
      let secrets = byOwner.get(owner) ?? load(owner);
      if (secrets[0]?.expiresAt !== null) secrets = made(owner);
      return secrets.some(isOver) ? secrets.filter((secret) => !isOver(secret)) : secrets;
    },
    rotateSecret(owner, overlapMs) {
      inTransaction(db, () => {
        const now = clock.now();
        shorten.run(now + overlapMs, owner);
        drop.run(now);
        insert.run(owner, newSecret(), now);
        dropOldest.run(owner);
      });
      return load(owner)[0]!;
    },
  };
}

function toSecret({ secret, created_at: createdAt, expires_at: expiresAt }: Row): WebhookSecret {
  return { secret, createdAt, expiresAt };
}

/** Standard Webhooks, "Signature scheme": 24 to 64 random bytes in base64 behind `whsec_`. */
function newSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

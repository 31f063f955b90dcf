import type { Logger } from "pino";
import type { KeyChange, KeyStore } from "../store/keys.ts";

/** How often others' changes are looked for: a key that is revoked in the file stops within a second, for those who wait too. */
const LOOK_MS = 250;

const MESSAGES: Readonly<Record<KeyChange["audit"], string>> = {
  key_created: "key created",
  key_revoked: "key revoked",
  key_rotated: "key rotated",
};

/** Keeps `keys` up to date, and tells the log what is changed, by whomever and be it before this start. */
export function watchKeys(keys: KeyStore, logger: Logger): Disposable {
  let isFailing = false;
  const attempt = (work: () => void): void => {
    try {
      work();
      isFailing = false;
    } catch (err) {
      if (!isFailing) logger.error({ err }, "the keys cannot be read; those known so far go on");
      isFailing = true;
    }
  };
  const tell = (): void =>
    attempt(() =>
      keys.tellChanges(({ audit, at, ...change }) => {
        logger.info({ audit, ...change, at: new Date(at).toISOString() }, MESSAGES[audit]);
      }),
    );
  keys.onChange(tell);
  tell();
  const timer = setInterval(() => attempt(() => keys.refresh()), LOOK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

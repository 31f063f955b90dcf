/** A model that asks for another try, as long as it is asked to. */
import { defineModel, Retryable } from "inferq/model";

export default defineModel({
  name: "unwilling",
  output: "text",
  input: { type: "object", properties: { unwilling: { type: "boolean" } } },
  retries: { delaySeconds: 0 },
  run({ unwilling }: { unwilling?: boolean }) {
    if (unwilling === true) throw new Retryable("Not now.");
    return "done";
  },
});

import { defineModel } from "inferq/model";

export default defineModel({
  name: "broken-setup",
  output: "text",
  input: { type: "object" },
  setup() {
    throw new Error("the weights are missing");
  },
  run: () => "never",
});

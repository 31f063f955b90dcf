import { memoryStore } from "../../src/store/memory.ts";
import { storeSuite } from "../../src/testing/store-suite.ts";

storeSuite("memory", async (clock) => memoryStore({ clock }));

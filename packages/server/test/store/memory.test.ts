import { memoryStore } from "../../src/store/memory.ts";
import { deliverySuite } from "../../src/testing/delivery-suite.ts";
import { eventLogSuite } from "../../src/testing/event-log-suite.ts";
import { storeSuite } from "../../src/testing/store-suite.ts";

storeSuite("memory", async (clock, retriesOf) => memoryStore({ clock, ...(retriesOf && { retriesOf }) }));
deliverySuite("memory", async (clock) => memoryStore({ clock }));
eventLogSuite("memory", async (clock) => memoryStore({ clock }));

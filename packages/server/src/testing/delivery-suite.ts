import { describe } from "vitest";
import { keepsDeliveries } from "./delivery-suite/keeping.ts";
import { makesDeliveries } from "./delivery-suite/making.ts";
import { sendsDeliveries } from "./delivery-suite/sending.ts";
import { StoreUnderTest } from "./store-suite/under-test.ts";
import type { StoreFactory } from "./store-suite/under-test.ts";

/** What the deliveries of every driver must do. */
export function deliverySuite(name: string, open: StoreFactory): void {
  describe(`the deliveries of the ${name} store`, () => {
    const t = new StoreUnderTest(open);
    makesDeliveries(t);
    sendsDeliveries(t);
    keepsDeliveries(t);
  });
}

/** The writer thread. */
import { parentPort, workerData } from "node:worker_threads";
import { writeBatches } from "./write-batches.ts";

writeBatches(parentPort!, workerData as string);

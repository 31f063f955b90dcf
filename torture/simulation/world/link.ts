/** The store as a worker has it that stands beside the server: every call and every answer is a message, which takes a while and may find its process standing still. */
import type { RequestStatus, RequestStore, Settlement, Wake } from "../../../packages/server/src/store/store.ts";
import { machine, type Process } from "../machine.ts";
import type { Ledger, Outcome } from "./ledger.ts";
import { BASE } from "./gateway.ts";

const MESSAGE_MS = 0.3;

/** `store` of the process `server`, as `worker` reaches it. The ledger is told of what the store answers. */
export function linked(store: RequestStore, server: Process, worker: Process, ledger: Ledger): RequestStore {
  const call = <T>(work: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const answer = (settle: () => void): void => machine().send(worker, delay(), settle);
      machine().send(server, delay(), () => {
        work().then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      });
    });
  const written = async (id: string): Promise<void> => {
    if ((await store.status(id))?.status === "PROCESSING") ledger.leases.written(id);
  };
  const link: Pick<RequestStore, "lease" | "heartbeat" | "settle" | "status" | "onWake"> = {
    status: (id) => store.status(id),
    lease: (wish) =>
      call(async () => {
        const leases = await store.lease(wish);
        for (const lease of leases) {
          ledger.leased(lease.id, lease.token);
          ledger.leases.leased(lease, wish.leaseMs, worker);
        }
        return leases;
      }),
    heartbeat: (leases, leaseMs) =>
      call(async () => {
        const { time } = machine();
        const lost = await store.heartbeat(leases, leaseMs);
        for (const { id, token } of leases) {
          if (!lost.includes(token)) ledger.leases.held(id, token, time, leaseMs);
          else if (isUnfinished(await store.status(id))) ledger.leases.refused(id, token);
        }
        return lost;
      }),
    settle: (id, token, settlement) =>
      call(async () => {
        const { time } = machine();
        const answer = await store.settle(id, token, settlement);
        if (answer.ok) ledger.leases.ended(id, answer.status === "QUEUED" && hasCrashed(settlement) ? time : null);
        else if (answer.refusal === "fenced") ledger.leases.refused(id, token);
        const ended = !answer.ok || answer.status === "COMPLETED" || answer.status === "FAILED";
        const outcome = settlement.type === "release" ? "release" : ended ? outcomeOf(settlement) : null;
        ledger.settled(id, token, answer.ok, outcome);
        return answer;
      }),
    onWake(listener) {
      const pass = (wake: Wake): void => {
        if (wake.type === "changed") void written(wake.id);
        machine().send(worker, delay(), () => listener(wake));
      };
      return store.onWake!(pass);
    },
  };
  return link as RequestStore;
}

function isUnfinished(status: RequestStatus | undefined): boolean {
  return status?.status === "QUEUED" || status?.status === "PROCESSING";
}

function hasCrashed(settlement: Settlement): boolean {
  return settlement.type === "fail" && settlement.kind === "crash";
}

function delay(): number {
  return MESSAGE_MS * machine().random.next();
}

function outcomeOf(settlement: Exclude<Settlement, { type: "release" }>): Partial<Outcome> {
  if (settlement.type === "fail") {
    const { code, message } = settlement.failure;
    return { status: "FAILED", code, error: message };
  }
  const { result } = settlement;
  if (result.kind === "image") {
    return { status: "COMPLETED", output: result.files.map(({ key }) => `${BASE}/files/${key}`).join(" ") };
  }
  return result.kind === "text" && typeof result.text === "string"
    ? { status: "COMPLETED", output: result.text }
    : { status: "COMPLETED" };
}

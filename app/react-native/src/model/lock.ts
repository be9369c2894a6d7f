/** Why nothing can be changed at the moment. Pure. */

import type { Seen } from "../data/store";
import type { MessageKey } from "../messages";

/** The text that says why a person may not do something; nothing when it can be done. */
export function lockOf(seen: Seen, isAllowed: boolean): MessageKey | undefined {
  if (seen.connection === "offline") return "locked.offline";
  if (seen.connection !== "ok") return "locked.unseen";
  if (!isAllowed) return "locked.role";
  return runningRestore(seen) === undefined ? undefined : "locked.restoring";
}

/** The restore that changes something at the moment; one that waits for consent does not. */
export function runningRestore(seen: Seen) {
  return seen.restores.find((r) => (r.status === "pending" || r.status === "in_progress") && !isWaiting(r));
}

export function waitingRestore(seen: Seen) {
  return seen.restores.find((r) => r.status === "pending" && isWaiting(r));
}

function isWaiting(restore: Seen["restores"][number]): boolean {
  return restore.status === "pending" && restore.approval !== undefined && restore.approval.at === undefined;
}

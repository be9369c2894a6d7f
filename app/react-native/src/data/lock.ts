/** Why nothing can be changed at the moment. Pure. */

import type { MessageKey } from "../messages";
import { isUnderWay } from "../model/job";
import type { Seen } from "./seen";

/** The text that says why a person may not do something; nothing when it can be done. */
export function lockOf(seen: Seen, isAllowed: boolean): MessageKey | undefined {
  const unseen = lockOfConnection(seen);
  if (unseen !== undefined) return unseen;
  if (!isAllowed) return "locked.role";
  return runningRestore(seen) === undefined ? undefined : "locked.restoring";
}

/** The same of what may be done while a restore runs, such as to stop it. */
export function lockOfConnection(seen: Seen): MessageKey | undefined {
  if (seen.connection === "ok") return undefined;
  return seen.connection === "offline" ? "locked.offline" : "locked.unseen";
}

/** The restore that changes something at the moment; one that waits for consent does not. */
export function runningRestore(seen: Seen) {
  return seen.restores.find((r) => isUnderWay(r) && !isWaiting(r));
}

export function waitingRestore(seen: Seen) {
  return seen.restores.find(isWaiting);
}

/** Whether it begins only when a second person consents. */
export function isWaiting(restore: Seen["restores"][number]): boolean {
  return restore.status === "pending" && restore.approval !== undefined && restore.approval.at === undefined;
}

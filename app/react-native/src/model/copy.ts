/** What is said of one copy. Pure. */

import type { BackupStatus, Replica } from "@gasrapido/backup-client";
import type { ToneName } from "../theme";
import { isUnderWay } from "./job";

/** What everything is asked for by. */
export const EVERYTHING = "all";

export type CopyState = "good" | "failed" | "cancelled" | "running" | "replicating" | "expired" | "unknown";
export type Proof = "restored" | "sampled" | "read" | "reading" | "never" | "failed";
export type RegionState = "complete" | "pending" | "running" | "damaged";

export function copyStateOf(backup: BackupStatus): CopyState {
  if (backup.expiredAt !== undefined) return "expired";
  switch (backup.status) {
    case "completed":
      return "good";
    case "failed":
      return backup.cancelled === undefined ? "failed" : "cancelled";
    case "pending":
      return "running";
    case "in_progress":
      return backup.phase === "replicating" ? "replicating" : "running";
    default:
      // Of an API that is newer than this.
      return "unknown";
  }
}

/** The part that was asked for; nothing where that was everything. */
export function partOf(backup: BackupStatus): string | undefined {
  return backup.part === EVERYTHING || backup.part === backup.source ? undefined : backup.part;
}

/** Whether it can be restored. */
export function isRestorable(backup: BackupStatus): boolean {
  return backup.status === "completed" && backup.metadata !== undefined && backup.expiredAt === undefined && backup.supersededBy === undefined;
}

export function proofOf(backup: BackupStatus): Proof {
  if (backup.drilled !== undefined) {
    if (!backup.drilled.passed) return "failed";
    if (backup.drilled.whole) return "restored";
  }
  if (backup.verified?.readAt !== undefined) return backup.drilled === undefined ? "read" : "sampled";
  if (backup.drilled !== undefined) return "sampled";
  return backup.verified === undefined ? "never" : "reading";
}

export function proofTone(proof: Proof): ToneName {
  const tones = { restored: "good", sampled: "good", read: "good", reading: "busy", never: "neutral", failed: "bad" } as const;
  return tones[proof];
}

/** What is lacking of a copy that is under way comes yet; of one that is over, it lags. */
export function regionStateOf(replica: Replica, backup: BackupStatus): RegionState {
  if (replica.state === "complete" || replica.state === "damaged") return replica.state;
  return isUnderWay(backup) && !backup.stalled ? "running" : "pending";
}

export function regionTone(state: RegionState): ToneName {
  const tones = { complete: "good", pending: "warning", running: "busy", damaged: "bad" } as const;
  return tones[state];
}

/** Whether a look at its objects found that one can be deleted too early. */
export function isLockTooShort(backup: BackupStatus): boolean {
  return (backup.replicas ?? []).some((replica) => (replica.findings ?? []).some((finding) => finding.code === "lock_ends_early"));
}

/** By how much each copy is larger than the one before it; they come newest first. */
export function growthOf(backups: readonly BackupStatus[]): Map<string, number> {
  const growth = new Map<string, number>();
  let newer: BackupStatus | undefined;
  for (const backup of backups) {
    if (backup.metadata === undefined || backup.supersededBy !== undefined) continue;
    if (newer?.metadata) growth.set(newer.id, newer.metadata.size - backup.metadata.size);
    newer = backup;
  }
  return growth;
}

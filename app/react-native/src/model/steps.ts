/** The steps of a backup that a person sees. Pure. */

import type { BackupStatus } from "@gasrapido/backup-client";
import { copyStateOf, proofOf } from "./copy";

export const STEPS = ["dump", "encrypt", "upload", "replicate", "verify"] as const;
export type Step = (typeof STEPS)[number];
export type StepState = "done" | "active" | "waiting" | "failed";

/** Rows are read, sealed and stored in one go: those three steps are under way together. */
export function stepsOf(backup: BackupStatus): Record<Step, StepState> {
  const state = copyStateOf(backup);
  const isProven = ["restored", "sampled", "read"].includes(proofOf(backup));
  if (state === "good" || state === "expired") {
    const verify = isProven ? "done" : proofOf(backup) === "reading" ? "active" : proofOf(backup) === "failed" ? "failed" : "waiting";
    return { dump: "done", encrypt: "done", upload: "done", replicate: "done", verify };
  }
  const none = { dump: "waiting", encrypt: "waiting", upload: "waiting", replicate: "waiting", verify: "waiting" } as const;
  // Where one failed is not known: its reason says more.
  if (backup.status === "pending" || state === "failed" || state === "cancelled") return none;
  switch (backup.phase) {
    case "copying":
      return { ...none, dump: "active", encrypt: "active", upload: "active" };
    case "committing":
      return { ...none, dump: "done", encrypt: "done", upload: "active" };
    case "replicating":
      return { ...none, dump: "done", encrypt: "done", upload: "done", replicate: "active" };
    case "preparing":
      return { ...none, dump: "active" };
    default:
      return none;
  }
}

/** A pace that was seen for so long says something of the rest. */
const PACE_MS = 10_000;
const PACE_PERCENT = 10;

/**
 * Milliseconds that are left, where the pace so far tells: not of what has stalled, and not of the way to other regions, which has
 * a pace of its own.
 */
export function leftMs(job: { startedAt: string; progress: number; stalled?: boolean; phase?: string }, now: number): number | undefined {
  const elapsed = now - Date.parse(job.startedAt);
  const hasPace = job.phase === "copying" || job.phase === "loading";
  if (job.stalled || !hasPace || job.progress < PACE_PERCENT || elapsed < PACE_MS) return undefined;
  return (elapsed * (100 - job.progress)) / job.progress;
}

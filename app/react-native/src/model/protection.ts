/**
 * Whether the source is protected, as it may be said here and now. Pure.
 *
 * Never says `protected` when it does not know: not of what was seen too long ago, and not of a copy that has grown too old meanwhile.
 */

import type { Summary } from "@gasrapido/backup-client";
import type { ToneName } from "../theme";

export type ProtectionState = "protected" | "at_risk" | "not_protected" | "working" | "unknown";

export interface Protection {
  state: ProtectionState;
  /** What is the case apart from what is being done; or what was the case when it was last seen. */
  verdict: Exclude<ProtectionState, "working">;
  /** Milliseconds since this was seen, where that is longer than usual. */
  staleMs: number | undefined;
  /** Milliseconds of work that would be lost now. */
  recoveryPointMs: number | undefined;
  reasons: readonly { code: string; message: string }[];
}

/** What was seen longer ago than this is not what is. It is looked at twice as often, or more. */
export const FRESH_MS = 90_000;
/** What was seen so far in the future was seen by another clock: how old it is, nobody knows. */
const CLOCK_SLACK_MS = 10_000;
/** What was seen longer ago than this says nothing of now. */
export const STALE_MAX_MS = 15 * 60_000;

const VERDICTS = ["protected", "at_risk", "not_protected"] as const;

/** By a summary, and when it was seen; both by the clock of the API. */
export function protectionOf(summary: Summary | undefined, seenAt: number, now: number, working: boolean): Protection {
  if (!summary) return { state: "unknown", verdict: "unknown", staleMs: undefined, recoveryPointMs: undefined, reasons: [] };
  const age = now - seenAt;
  const isOfNoTime = age < -CLOCK_SLACK_MS;
  const staleMs = age > FRESH_MS ? age : undefined;
  const takenAt = summary.lastGood === undefined ? undefined : Date.parse(summary.lastGood.takenAt);
  const recoveryPointMs = takenAt === undefined || Number.isNaN(takenAt) ? undefined : Math.max(0, now - takenAt);
  const targetMs = summary.recoveryPointTargetS * 1_000;
  const isKnown = (VERDICTS as readonly string[]).includes(summary.verdict);
  const isTooOld = recoveryPointMs === undefined || recoveryPointMs > targetMs;
  let verdict: Protection["verdict"] = isKnown ? summary.verdict : "unknown";
  let reasons: Protection["reasons"] = summary.reasons;
  if (verdict === "protected" && isTooOld) {
    verdict = "at_risk";
    reasons = [{ code: recoveryPointMs === undefined ? "no_backup" : "backup_too_old", message: "" }];
  }
  const seen = { staleMs, recoveryPointMs, reasons };
  // Of long ago, or of a copy that is too old by now: what was said then may no longer be so.
  const isUnknown = verdict === "unknown" || isOfNoTime || (staleMs !== undefined && (staleMs > STALE_MAX_MS || isTooOld));
  if (isUnknown) return { ...seen, state: "unknown", verdict: isKnown ? summary.verdict : "unknown" };
  return { ...seen, state: working ? "working" : verdict, verdict };
}

export function toneOf(state: ProtectionState): ToneName {
  const tones = { protected: "good", at_risk: "warning", not_protected: "bad", working: "busy", unknown: "neutral" } as const;
  return tones[state];
}

/** The steps of a restore, and what is asked for in the end. Pure. */

import type { BackupStatus, Environment, RestorePlan, RestoreRequest, Summary } from "@gasrapido/backup-client";
import type { MessageKey } from "../messages";

export type What = { kind: "latest" } | { kind: "copy"; id: string } | { kind: "moment"; at: number };
export type StepName = "what" | "target" | "check" | "confirm" | "progress";

export interface Flow {
  step: StepName;
  what: What;
  target: Environment;
  /** Whether what the target holds is replaced. Production's always is. */
  replace: boolean;
  plan: RestorePlan | undefined;
  /** What that is the plan of. */
  planOf: RestoreRequest | undefined;
  /** What was typed to confirm it. */
  typed: string;
  restoreId: string | undefined;
}

/** The least dangerous first. */
export const ENVIRONMENTS = ["development", "staging", "production"] as const satisfies readonly Environment[];

/** Why somebody may not restore into a target; nothing when that is allowed. */
export function targetLock(you: Summary["you"] | undefined, target: Environment): MessageKey | undefined {
  if (!you?.restoreInto.includes(target)) return "restore.target.notAllowed";
  return target === "production" && !you.secondFactor ? "restore.secondFactor" : undefined;
}

export function begin(backupId: string | undefined, restoreId: string | undefined, you: Summary["you"] | undefined): Flow {
  return {
    step: restoreId === undefined ? "what" : "progress",
    what: backupId === undefined ? { kind: "latest" } : { kind: "copy", id: backupId },
    target: ENVIRONMENTS.find((target) => targetLock(you, target) === undefined) ?? "development",
    replace: false,
    plan: undefined,
    planOf: undefined,
    typed: "",
    restoreId,
  };
}

/** The steps that this restore takes; only one that replaces something is confirmed. */
export function stepNames(flow: Flow): StepName[] {
  return replaces(flow) ? ["what", "target", "check", "confirm", "progress"] : ["what", "target", "check", "progress"];
}

export function replaces(flow: Flow): boolean {
  return flow.replace || flow.target === "production";
}

/** What a dry run is asked for. */
export function wishOf(flow: Flow): RestoreRequest {
  const { what, target: targetEnvironment } = flow;
  if (what.kind === "copy") return { backupId: what.id, targetEnvironment };
  const latest = { backupId: "latest", targetEnvironment };
  return what.kind === "latest" ? latest : { ...latest, restorePoint: new Date(what.at).toISOString() };
}

/** What is restored in the end: the very copy that was looked at, by the words that were typed. */
export function requestOf(flow: Flow): RestoreRequest | undefined {
  const { plan, target: targetEnvironment, typed } = flow;
  if (plan === undefined || plan.targetEnvironment !== targetEnvironment || !isOfThis(flow)) return undefined;
  const request = { backupId: plan.backupId, targetEnvironment };
  if (!replaces(flow)) return request;
  return isConfirmed(flow) ? { ...request, confirmation: typed.trim() } : undefined;
}

/** Whether the plan is of what is chosen now, and not of what was chosen before. */
function isOfThis(flow: Flow): boolean {
  return JSON.stringify(flow.planOf) === JSON.stringify(wishOf(flow));
}

export function isConfirmed(flow: Flow): boolean {
  return flow.plan !== undefined && flow.typed.trim() === flow.plan.confirmation;
}

/** The hour and minute that were typed, such as `14:30` or `9.05`. */
export function readClock(text: string): { hour: number; minute: number } | undefined {
  const found = /^\s*(\d{1,2})[:.h](\d{2})\s*$/.exec(text);
  if (!found) return undefined;
  const [hour, minute] = [Number(found[1]), Number(found[2])];
  return hour < 24 && minute < 60 ? { hour, minute } : undefined;
}

/** The newest copy at or before a moment; they come newest first. */
export function copyAt(copies: readonly BackupStatus[], at: number): BackupStatus | undefined {
  return copies.find((copy) => copy.metadata !== undefined && Date.parse(copy.metadata.timestamp) <= at);
}

/** What the things of the API are called, those too that are newer than this. */

import type { RestoreStatus } from "@gasrapido/backup-client";
import type { ToneName } from "./theme";
import type { Words } from "./words";

export function targetName(target: string, words: Words): string {
  const key = `restore.${target}`;
  return words.has(key) ? words.t(key) : target;
}

export function phaseName(phase: string, words: Words): string {
  const key = `restore.phase.${phase}`;
  return words.has(key) ? words.t(key) : phase;
}

export function triggerName(trigger: string, words: Words): string {
  const key = `copy.${trigger}`;
  return words.has(key) ? words.t(key) : trigger;
}

/** What came of a restore that is over, and in which tone that is said. */
export function endOf(restore: RestoreStatus, words: Words): { tone: ToneName; title: string } {
  const target = targetName(restore.targetEnvironment, words);
  if (restore.status === "completed") return { tone: "good", title: words.t("restore.done", { target }) };
  if (restore.cancelled !== undefined) return { tone: "neutral", title: words.t("restore.cancelled", { target }) };
  return { tone: "bad", title: words.t("restore.failed", { target }) };
}

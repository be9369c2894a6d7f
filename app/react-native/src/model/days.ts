/** The days of the strip: what came of the backups of each. Pure. */

import type { History } from "@gasrapido/backup-client";
import type { CalendarDay, Words } from "../words";

/** `unknown` is what was not looked at yet. */
export type DayOutcome = "good" | "warning" | "failed" | "missed" | "none" | "unknown";

export interface Day {
  /** Such as `2026-11-26`. */
  key: string;
  /** An instant of it. */
  at: number;
  outcome: DayOutcome;
  good: number;
  warning: number;
  failed: number;
  missed: number;
}

const DAY_MS = 86_400_000;

export function keyOf({ year, month, day }: CalendarDay): string {
  return `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}

/** The last days up to now, oldest first. */
export function daysOf(history: History | undefined, words: Words, now: number, count = 30): Day[] {
  const days = new Map<string, Day>();
  // At noon, so that a day of 23 or 25 hours is one day all the same.
  const noon = words.instant(words.day(now), 12, 0);
  for (let back = count - 1; back >= 0; back -= 1) {
    const at = noon - back * DAY_MS;
    const key = keyOf(words.day(at));
    days.set(key, { key, at, outcome: "none", good: 0, warning: 0, failed: 0, missed: 0 });
  }
  const lastOf = new Map<string, string>();
  for (const run of history?.runs ?? []) {
    const day = days.get(keyOf(words.day(Date.parse(run.at))));
    if (!day) continue;
    if (run.outcome === "good") day.good += 1;
    if (run.outcome === "warning") day.warning += 1;
    if (run.outcome === "failed") day.failed += 1;
    // They come newest first.
    if (run.outcome !== "running" && run.outcome !== "cancelled" && !lastOf.has(day.key)) lastOf.set(day.key, run.outcome);
  }
  for (const missed of history?.missed ?? []) {
    const day = days.get(keyOf(words.day(Date.parse(missed))));
    if (day) day.missed += 1;
  }
  const seenUntil = history === undefined ? "" : keyOf(words.day(Date.parse(history.at)));
  for (const day of days.values()) day.outcome = day.key > seenUntil ? "unknown" : outcomeOf(day, lastOf.get(day.key));
  return [...days.values()];
}

/** A day on which one never came is missed, one that ended in a failure failed, one that failed and came right has a warning. */
function outcomeOf(day: Day, last: string | undefined): DayOutcome {
  if (day.missed > 0) return "missed";
  if (last === "failed") return "failed";
  if (day.warning > 0 || day.failed > 0) return "warning";
  return day.good > 0 ? "good" : "none";
}

export function countDays(days: readonly Day[]): Record<DayOutcome, number> {
  const counts = { good: 0, warning: 0, failed: 0, missed: 0, none: 0, unknown: 0 };
  for (const day of days) counts[day.outcome] += 1;
  return counts;
}

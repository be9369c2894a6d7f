/** What is seen of the backups, at one time. */

import type { AuditEntry, BackupStatus, CleanupStatus, DrillPage, DrillRecord, History, RestoreStatus, Summary, Usage } from "@gasrapido/backup-client";

export type Connection = "loading" | "ok" | "offline" | "unauthorized" | "forbidden" | "limited" | "error";
export type Filter = "all" | "completed" | "failed";

export interface Seen {
  connection: Connection;
  /** What went wrong with the last look. */
  problem: unknown;
  /** When it is looked again, where the API said so; by its clock. */
  againAt: number | undefined;
  /** Of when the summary is; by the clock of the API. */
  seenAt: number;
  summary: Summary | undefined;
  /** Newest first; which of them belong to a list, {@link BackupStore.list} says. */
  backups: readonly BackupStatus[];
  restores: readonly RestoreStatus[];
  /** How far each list was read down: it changes what {@link BackupStore.list} gives. */
  reach: Partial<Record<Filter, Reach>>;
  // The reports; nothing until they were looked at.
  history: History | undefined;
  /** `null` when nothing was counted yet. */
  usage: Usage | null | undefined;
  drills: readonly DrillRecord[] | undefined;
  streak: DrillPage["streak"];
  audit: readonly AuditEntry[] | undefined;
  cleanups: readonly CleanupStatus[] | undefined;
  /** What went wrong with any of them when they were looked at last. */
  reportsProblem: unknown;
}

/** How far a list was read. */
export interface Reach {
  /** The oldest id that it was read down to; everything when there is no more. */
  floor: string;
  cursor: string | undefined;
}

export const NOTHING: Seen = {
  connection: "loading",
  problem: undefined,
  againAt: undefined,
  seenAt: 0,
  summary: undefined,
  backups: [],
  restores: [],
  reach: {},
  history: undefined,
  usage: undefined,
  drills: undefined,
  streak: undefined,
  audit: undefined,
  cleanups: undefined,
  reportsProblem: undefined,
};

/** A project whose backups have a past: what the mock answers from. */

import type { AuditEntry, BackupStatus, DrillRecord, Environment, Replica, RestoreStatus, Summary, TableList, Usage } from "../types.js";
import type { MockState } from "./states.js";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** How often this project is backed up, how much it may lose, and how long its backups stay. */
const EVERY = 6 * HOUR;
const TARGET = 8 * HOUR;
const RETENTION_DAYS = 30;

const SOURCE = "gasrapido";
const REGIONS = [
  { role: "primary", region: "eu-west-1" },
  { role: "secondary", region: "us-east-1" },
  { role: "tertiary", region: "ap-southeast-1" },
] as const;
export const PEOPLE = { ana: "6f0d9a52-ana", rui: "b71c33e8-rui" };

export const iso = (ms: number): string => new Date(ms).toISOString();

/** An id like those of the API: what was made later sorts later. */
export function idOf(kind: number, n: number): string {
  const last = n.toString(16).padStart(8, "0");
  return `019ab3c4-5d6e-7f80-9a1b-${kind.toString(16).padStart(4, "0")}${last}`;
}

export interface World {
  /** Newest first, each of these. */
  backups: BackupStatus[];
  restores: RestoreStatus[];
  drills: DrillRecord[];
  audit: AuditEntry[];
  missed: string[];
  usage: Usage;
  you: Summary["you"];
}

/** A backup that is over, and all is well with it. */
export function completed(n: number, takenAt: number, more: Partial<BackupStatus> = {}): BackupStatus {
  const id = idOf(1, n);
  const rows = 4_180_000 + n * 1_931;
  const size = 1_840_000_000 + n * 2_310_000 + ((n * 7919) % 13) * 410_000;
  const tookMs = 38_000 + ((n * 104_729) % 53) * 1_000;
  const replicas: Replica[] = REGIONS.map(({ role, region }, i) => ({
    role,
    region,
    bucket: `gasrapido-backup-${region}`,
    state: "complete",
    completedAt: iso(takenAt + tookMs + i * 4_000),
  }));
  return {
    id,
    status: "completed",
    startedAt: iso(takenAt - 2_000),
    completedAt: iso(takenAt + tookMs),
    progress: 100,
    phase: "done",
    source: SOURCE,
    trigger: "schedule",
    heartbeatAt: iso(takenAt + tookMs),
    stalled: false,
    tables: 41,
    tablesTotal: 41,
    rows,
    bytes: Math.round(size * 3.4),
    bytesStored: 31_000_000 + ((n * 31) % 17) * 900_000,
    segments: {
      segmentsCopied: 60 + (n % 23),
      segmentsReused: 5_100 + n,
      segmentsSampled: 12,
      bytesCopied: 98_000_000,
      bytesReused: size * 3,
      bytesSampled: 9_000_000,
      bytesRepacked: 0,
    },
    replicas,
    verified: { fromHour: 400_000 + n, readAt: iso(takenAt + 2 * HOUR) },
    warnings: [],
    daysEndAt: iso(takenAt + RETENTION_DAYS * DAY),
    metadata: {
      id,
      timestamp: iso(takenAt),
      source: SOURCE,
      size,
      checksum: (n * 2_654_435_761).toString(16).padStart(8, "0").repeat(8).slice(0, 64),
      encrypted: true,
      compression: "zstd",
      region: "eu-west-1",
      bucket: "gasrapido-backup-eu-west-1",
      path: `v1/snapshots/${id}/inventory.json`,
    },
    ...more,
  };
}

/** A backup that is being made. */
export function begun(n: number, startedAt: number, more: Partial<BackupStatus> = {}): BackupStatus {
  return {
    id: idOf(1, n),
    status: "in_progress",
    startedAt: iso(startedAt),
    progress: 0,
    phase: "preparing",
    source: SOURCE,
    trigger: "manual",
    requestedBy: PEOPLE.ana,
    heartbeatAt: iso(startedAt),
    stalled: false,
    tables: 0,
    tablesTotal: 41,
    rows: 0,
    bytes: 0,
    bytesStored: 0,
    replicas: REGIONS.map(({ role, region }) => ({ role, region, bucket: `gasrapido-backup-${region}`, state: "pending" })),
    warnings: [],
    ...more,
  };
}

/** How a running backup looks, so many percent along. */
export function along(backup: BackupStatus, percent: number, at: number): BackupStatus {
  const share = Math.min(1, percent / 75);
  const phase = percent < 5 ? "preparing" : percent < 75 ? "copying" : percent < 82 ? "committing" : "replicating";
  return {
    ...backup,
    status: percent === 0 ? "pending" : "in_progress",
    phase,
    progress: Math.floor(percent),
    heartbeatAt: iso(at),
    tables: Math.floor(share * 41),
    rows: Math.floor(share * 4_400_000),
    bytes: Math.floor(share * 7_100_000_000),
    bytesStored: Math.floor(share * 34_000_000),
  };
}

export function restoreOf(n: number, backup: BackupStatus, into: Environment, startedAt: number, more: Partial<RestoreStatus> = {}): RestoreStatus {
  const rows = backup.rows ?? 0;
  const bytes = backup.bytes ?? 0;
  return {
    id: idOf(2, n),
    backupId: backup.id,
    takenAt: backup.metadata?.timestamp ?? backup.startedAt,
    targetEnvironment: into,
    region: "eu-west-1",
    masked: into !== "production",
    replaces: false,
    requestedBy: PEOPLE.ana,
    status: "in_progress",
    phase: "preparing",
    progress: 0,
    rows: 0,
    rowsTotal: rows,
    bytes: 0,
    bytesTotal: bytes,
    tablesTotal: 41,
    startedAt: iso(startedAt),
    heartbeatAt: iso(startedAt),
    stalled: false,
    ...more,
  };
}

/** How a running restore looks, so many percent along. */
export function restoreAlong(restore: RestoreStatus, percent: number, at: number): RestoreStatus {
  const phase = percent < 5 ? "preparing" : percent < 70 ? "loading" : percent < 85 ? "completing" : "proving";
  const share = Math.min(1, percent / 70);
  return {
    ...restore,
    status: percent === 0 ? "pending" : "in_progress",
    phase,
    progress: Math.floor(percent),
    rows: Math.floor(share * restore.rowsTotal),
    bytes: Math.floor(share * restore.bytesTotal),
    heartbeatAt: iso(at),
  };
}

export function restoreDone(restore: RestoreStatus, at: number): RestoreStatus {
  return {
    ...restore,
    status: "completed",
    phase: "done",
    progress: 100,
    rows: restore.rowsTotal,
    bytes: restore.bytesTotal,
    heartbeatAt: iso(at),
    completedAt: iso(at),
    restored: {
      snapshot: restore.backupId,
      takenAt: restore.takenAt,
      region: restore.region,
      tables: restore.tablesTotal,
      maskedTables: restore.masked ? 6 : 0,
      rows: restore.rowsTotal,
      bytes: restore.bytesTotal,
      blobs: 1_204,
      blobBytes: 310_000_000,
      warnings: [],
    },
  };
}

export function tablesOf(backup: BackupStatus): TableList {
  const names: [string, string, number, number][] = [
    ["public", "orders", 1_912_044, 3_100_000_000],
    ["public", "order_events", 1_604_918, 2_200_000_000],
    ["public", "customers", 211_604, 410_000_000],
    ["public", "addresses", 204_118, 290_000_000],
    ["auth", "users", 211_604, 260_000_000],
    ["public", "drivers", 1_412, 2_100_000],
    ["storage", "objects", 1_204, 900_000],
    ["public", "depots", 38, 12_000],
  ];
  return {
    id: backup.id,
    tables: names.map(([schema, name, rows, bytes]) => ({ schema, name, rows, bytes })),
    tablesTotal: 41,
    buckets: [
      { bucket: "receipts", objects: 1_150, bytes: 287_000_000 },
      { bucket: "avatars", objects: 54, bytes: 23_000_000 },
    ],
    coverage: [
      { part: "public", state: "backed_up" },
      { part: "auth", state: "backed_up" },
      { part: "storage", state: "backed_up" },
      { part: "vault", state: "not_exportable", detail: "secrets of Supabase Vault cannot be read out: note them elsewhere" },
    ],
  };
}

function drillOf(n: number, backup: BackupStatus, at: number, more: Partial<DrillRecord> = {}): DrillRecord {
  return {
    id: idOf(3, n),
    startedAt: iso(at - 4 * MINUTE),
    completedAt: iso(at),
    outcome: "passed",
    backup: backup.id,
    region: REGIONS[n % 3]?.region ?? "eu-west-1",
    server: "PostgreSQL 18.6",
    extent: "everything",
    recoveryMs: 192_000 + (n % 7) * 5_300,
    tables: 41,
    rows: backup.rows ?? 0,
    bytes: backup.bytes ?? 0,
    constraints: 118,
    checks: [{ name: "orders have customers", passed: true }],
    warnings: [],
    ...more,
  };
}

function auditOf(n: number, at: number, action: string, more: Partial<AuditEntry> = {}): AuditEntry {
  return {
    id: idOf(4, n),
    at: iso(at),
    action,
    actor: { id: PEOPLE.ana, email: "ana@gasrapido.example", roles: ["admin"] },
    from: "203.0.113.7",
    requestId: `mock-${n}`,
    status: 202,
    ...more,
  };
}

function usageOf(backups: BackupStatus[], at: number): Usage {
  const size = backups[0]?.metadata?.size ?? 0;
  const bytes = size + backups.length * 33_000_000;
  return {
    id: idOf(5, 1),
    at: iso(at),
    pricesOf: "2026-11",
    backups: [],
    growthBytesADay: 131_000_000,
    forecastBytes: bytes + 30 * 131_000_000,
    vaults: REGIONS.map(({ role, region }, i) => ({
      role,
      region,
      bucket: `gasrapido-backup-${region}`,
      bytes,
      objects: 812 + i,
      usdAMonth: (bytes / 1e9) * [0.004, 0.0125, 0.0138][i]!,
    })),
  };
}

/** A project on which all is well, but for what the state says. */
export function worldOf(state: MockState, now: number): World {
  const count = state === "many" ? 1_000 : 120;
  const every = state === "many" ? HOUR : EVERY;
  const newest = state === "at_risk" ? now - 11 * HOUR : state === "not_protected" ? now - 9 * DAY : now - 2 * HOUR - 13 * MINUTE;
  const backups = Array.from({ length: count }, (_, i) => completed(count - i, newest - i * every));
  const yesterday = backups[4];
  if (yesterday?.metadata) {
    const at = Date.parse(yesterday.startedAt) + 3 * HOUR;
    yesterday.drilled = { at: iso(at), passed: true, whole: true, region: "us-east-1", rows: yesterday.rows ?? 0, bytes: yesterday.bytes ?? 0, recoveryMs: 197_300 };
  }
  // What is newest was not read back yet; a manual one and one that a person keeps are among them.
  delete backups[0]?.verified;
  if (backups[1]) delete backups[1].verified?.readAt;
  if (backups[2]) Object.assign(backups[2], { trigger: "manual", requestedBy: PEOPLE.rui });
  if (backups[9]) backups[9].pin = { at: iso(now - 2 * DAY), note: "before the new prices" };
  if (backups[16]) backups[16] = failedOf(backups[16], "the source does not answer: connection timed out after 10 s");
  const world: World = {
    backups,
    restores: [],
    drills: [],
    audit: [],
    missed: Array.from({ length: Math.floor((now - newest) / every) }, (_, i) => iso(newest + (i + 1) * every)).reverse(),
    usage: usageOf(backups, now - 5 * HOUR),
    you: { id: PEOPLE.ana, backUp: true, restoreInto: ["development", "staging", "production"], secondFactor: true, administer: true },
  };
  world.drills = Array.from({ length: 18 }, (_, i) => drillOf(18 - i, backups[4 + i * 4] ?? backups[0]!, Date.parse(backups[4]!.startedAt) + 3 * HOUR - i * DAY));
  if (backups[20]) {
    const asked = restoreOf(1, backups[20], "staging", now - 3 * DAY, { requestedBy: PEOPLE.rui });
    world.restores = [restoreDone(asked, now - 3 * DAY + 4 * MINUTE)];
  }
  world.audit = [
    auditOf(4, now - 3 * HOUR, "backup.pin", { on: backups[9]?.id ?? "", status: 200 }),
    auditOf(3, now - 3 * DAY, "restore.request", { on: idOf(2, 1), detail: "into staging", actor: { id: PEOPLE.rui, email: "rui@gasrapido.example", roles: ["operator"] } }),
    auditOf(2, now - 4 * DAY, "restore.request", { detail: "into production", status: 403, problem: "this takes the role `restorer`", actor: { id: PEOPLE.rui, email: "rui@gasrapido.example", roles: ["operator"] } }),
    auditOf(1, now - 6 * DAY, "cleanup.request", { on: idOf(6, 1) }),
  ];
  const first = backups[0]!;
  switch (state) {
    case "empty":
      Object.assign(world, { backups: [], restores: [], drills: [], audit: [] });
      break;
    case "read_only":
      world.you = { id: PEOPLE.rui, backUp: false, restoreInto: [], secondFactor: false, administer: false };
      break;
    case "pending":
      backups.unshift(begun(count + 1, now - 5 * MINUTE, { status: "pending" }));
      break;
    case "running":
      backups.unshift(along(begun(count + 1, now - 41_000), 46, now));
      break;
    case "stalled":
      backups.unshift({ ...along(begun(count + 1, now - 9 * MINUTE), 31, now - 4 * MINUTE), stalled: true });
      break;
    case "replicating":
    case "not_replicated": {
      const stalled = state === "not_replicated";
      const made = completed(count + 1, now - (stalled ? 34 : 1) * MINUTE);
      const replicas = (made.replicas ?? []).map((r, i) => (i === 2 || (i === 1 && !stalled) ? withoutEnd(r) : r));
      const { completedAt: _, verified: __, ...rest } = made;
      backups.unshift({ ...rest, status: "in_progress", phase: "replicating", progress: 90, stalled, replicas, heartbeatAt: iso(now - (stalled ? 33 : 0) * MINUTE) });
      break;
    }
    case "verifying":
      first.verified = { fromHour: 400_000 };
      break;
    case "not_verified":
      backups.forEach((backup) => {
        delete backup.verified;
        delete backup.drilled;
      });
      world.drills = [];
      break;
    case "failed":
      backups.unshift(failedOf(begun(count + 1, now - 12 * MINUTE, { trigger: "schedule" }), "the source does not answer: connection timed out after 10 s; look at DatabaseUrl, and whether the project is paused"));
      break;
    case "missed":
      world.missed = [3, 4, 10].map((days) => backups[days * 4 + 2]!.startedAt);
      world.backups = backups.filter((backup) => !world.missed.includes(backup.startedAt));
      break;
    case "expired":
      backups.slice(3).forEach((backup) => (backup.expiredAt = iso(now - 1 * DAY)));
      break;
    case "restoring":
      world.restores.unshift(restoreAlong(restoreOf(2, first, "production", now - 95_000, { requestedBy: PEOPLE.rui, replaces: true }), 52, now));
      break;
    case "approval":
      world.restores.unshift(restoreOf(2, first, "production", now - 3 * MINUTE, { requestedBy: PEOPLE.rui, replaces: true, status: "pending", approval: { until: iso(now + 27 * MINUTE) } }));
      break;
    case "restored":
      world.restores.unshift(restoreDone(restoreOf(2, first, "development", now - 6 * MINUTE), now - 3 * MINUTE));
      break;
    case "unknown_status":
      backups[0] = { ...first, status: "hibernating" as BackupStatus["status"], phase: "dreaming" as NonNullable<BackupStatus["phase"]> };
      break;
    default:
  }
  return world;
}

function withoutEnd(replica: Replica): Replica {
  const { completedAt: _, ...rest } = replica;
  return { ...rest, state: "pending" };
}

export function failedOf(backup: BackupStatus, error: string): BackupStatus {
  const { metadata: _, verified: __, drilled: ___, daysEndAt: ____, ...rest } = backup;
  const replicas = (backup.replicas ?? []).map(withoutEnd);
  return { ...rest, status: "failed", phase: "done", progress: 0, error, replicas, completedAt: iso(Date.parse(backup.startedAt) + 21_000) };
}

/** What the API would say of it. */
export function summaryOf(world: World, now: number): Summary {
  const good = world.backups.filter((b) => b.status === "completed" && b.metadata && b.expiredAt === undefined);
  const last = good[0];
  const running = world.backups.find((b) => b.status === "pending" || (b.status === "in_progress" && !b.metadata));
  const ageS = last?.metadata ? Math.floor((now - Date.parse(last.metadata.timestamp)) / 1_000) : undefined;
  const reasons: Summary["reasons"] = [];
  const targetS = TARGET / 1_000;
  let verdict: Summary["verdict"] = "protected";
  const blame = (worse: Summary["verdict"], code: string, message: string) => {
    if (worse === "not_protected" || verdict === "protected") verdict = worse;
    reasons.push({ code, message });
  };
  if (ageS === undefined) blame("not_protected", "no_backup", "no backup is whole in all regions yet");
  else if (ageS > 7 * targetS) blame("not_protected", "backup_far_too_old", `the newest backup is ${Math.floor(ageS / 86_400)} days old`);
  else if (ageS > targetS) blame("at_risk", "backup_too_old", `the newest backup is ${Math.floor(ageS / 3_600)} h old, and should be at most ${targetS / 3_600} h`);
  const settled = world.backups.find((b) => b.status === "completed" || b.status === "failed");
  if (settled?.status === "failed" && !settled.cancelled) blame("at_risk", "last_backup_failed", `the last backup failed: ${settled.error}`);
  const drill = world.drills[0];
  if (!drill) blame("at_risk", "never_proven", "no backup was restored in a drill yet");
  const regions = REGIONS.map(({ role, region }) => ({ role, region, state: last?.replicas?.find((r) => r.role === role)?.state ?? ("pending" as const) }));
  const passedInARow = world.drills.findIndex((d) => d.outcome === "failed");
  const streak = passedInARow < 0 ? world.drills.length : passedInARow;
  return {
    verdict,
    reasons,
    at: iso(now),
    source: SOURCE,
    ...(last?.metadata ? { lastGood: { id: last.id, takenAt: last.metadata.timestamp, ...(last.completedAt ? { completedAt: last.completedAt } : {}) } } : {}),
    ...(running ? { running: running.id } : {}),
    nextDue: iso(now + 3 * HOUR + 47 * MINUTE),
    ...(ageS === undefined ? {} : { recoveryPointS: ageS }),
    recoveryPointTargetS: targetS,
    ...(drill?.recoveryMs === undefined ? {} : { recoveryTimeMs: drill.recoveryMs }),
    ...(drill ? { lastDrill: { at: drill.completedAt ?? drill.startedAt, passed: true, region: drill.region } } : {}),
    streak: { passedInARow: streak, ...(streak > 0 ? { failureRateBelow: Math.min(1, 3 / streak) } : {}) },
    regions,
    you: world.you,
  };
}

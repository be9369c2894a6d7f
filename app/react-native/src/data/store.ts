/**
 * What the screen knows of the backups, and how it stays true: one look at a time, and each job that runs followed to its end.
 *
 * Always holds: what was seen stays when a look fails, with the time at which it was seen; two jobs are never followed twice; nothing
 * is asked for while it is stopped. Knows nothing of React.
 */

import {
  BackupAbortedError,
  BackupApiError,
  BackupOfflineError,
  type AuditEntry,
  type BackupService,
  type BackupStatus,
  type CleanupStatus,
  type DrillPage,
  type DrillRecord,
  type History,
  type RestoreRequest,
  type RestoreStatus,
  type Summary,
  type Usage,
} from "@gasrapido/backup-client";
import { isRestorable, isRunning } from "../model/copy";

/** What of the service is used: so that a host may give its own. */
export type Backups = Pick<BackupService, keyof BackupService>;

export type Connection = "loading" | "ok" | "offline" | "unauthorized" | "forbidden" | "limited" | "error";
export type Filter = "all" | "completed" | "failed";

/** What the host may want to tell, such as by a notification of its own. */
export interface BackupEvent {
  type: "backup.completed" | "backup.failed" | "restore.completed" | "restore.failed";
  id: string;
  error?: string;
}

/** Where what was seen last is kept while the app is closed; such as AsyncStorage, or the browser's. */
export interface KeptStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): unknown;
}

export interface StoreOptions {
  /** Milliseconds between looks. */
  pollMs?: number;
  storage?: KeptStorage | undefined;
  onEvent?: ((event: BackupEvent) => void) | undefined;
}

export interface Seen {
  connection: Connection;
  /** What went wrong with the last look. */
  problem: unknown;
  /** When it is looked again, where the API said so; by its clock. */
  againAt: number | undefined;
  /** When the summary was seen; by the clock of the API. */
  seenAt: number;
  summary: Summary | undefined;
  /** Newest first; which of them belong to a list, {@link BackupStore.list} says. */
  backups: readonly BackupStatus[];
  restores: readonly RestoreStatus[];
  history: History | undefined;
  /** Nothing when nothing was counted yet. */
  usage: Usage | undefined;
  drills: readonly DrillRecord[];
  streak: DrillPage["streak"];
  audit: readonly AuditEntry[] | undefined;
  cleanups: readonly CleanupStatus[];
  /** Whether the reports were looked at: until then they are not known to be empty. */
  hasReports: boolean;
  /** What went wrong when they were looked at last. */
  reportsProblem: unknown;
  loadingMore: boolean;
}

const POLL_MS = 30_000;
/** Reports change seldom. */
const REPORTS_EVERY_MS = 5 * 60_000;
const PAGE = 20;
const PAGE_MORE = 50;
/** Of backups that are to be chosen from, so many pages are read. */
const RESTORABLE_PAGES = 20;
const RESTORES = 20;
const DRILLS = 10;
const AUDIT = 50;
/** A look must not take long: it is repeated anyway. */
const TRIES = 2;
/** Of a day that is looked at, so many that are not known yet are asked for. */
const OF_A_DAY = 48;
const KEPT_KEY = "gasrapido.backup.seen";
const KEPT_VERSION = 1;

const NOTHING: Seen = {
  connection: "loading",
  problem: undefined,
  againAt: undefined,
  seenAt: 0,
  summary: undefined,
  backups: [],
  restores: [],
  history: undefined,
  usage: undefined,
  drills: [],
  streak: undefined,
  audit: undefined,
  cleanups: [],
  hasReports: false,
  reportsProblem: undefined,
  loadingMore: false,
};

interface Reach {
  /** The oldest id that the list was read down to; everything when there is no more. */
  floor: string;
  cursor: string | undefined;
}

export class BackupStore {
  readonly service: Backups;
  readonly #options: StoreOptions;
  readonly #listeners = new Set<() => void>();
  readonly #following = new Map<string, AbortController>();
  #seen: Seen = NOTHING;
  #reach: Partial<Record<Filter, Reach>> = {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> | undefined;
  readonly #loading: Partial<Record<Filter, Promise<void>>> = {};
  #reportsAt = Number.NEGATIVE_INFINITY;
  #running = false;
  /** Whether what is known is of the time before the app was closed. */
  #isRemembered = false;

  constructor(service: Backups, options: StoreOptions = {}) {
    this.service = service;
    this.#options = options;
  }

  readonly get = (): Seen => this.#seen;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Begins to look, and goes on until {@link stop}. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#wake();
  }

  stop(): void {
    this.#running = false;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#following.forEach((follower) => follower.abort());
    this.#following.clear();
  }

  /** Looks now. While one look is under way there is no other. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      this.#schedule();
    });
    return this.#looking;
  }

  /** Of the backups that are known those that belong to a list, newest first, without gaps. */
  list(filter: Filter): readonly BackupStatus[] {
    // What all were read down to, each status was.
    const floors = [this.#reach[filter], this.#reach.all].flatMap((reach) => (reach === undefined ? [] : [reach.floor])).sort();
    const floor = floors[0];
    if (floor === undefined) return [];
    return this.#seen.backups.filter((backup) => backup.id >= floor && (filter === "all" || backup.status === filter));
  }

  hasMore(filter: Filter): boolean {
    const { all, [filter]: reach } = this.#reach;
    if (all === undefined) return false;
    return all.cursor !== undefined && (reach === undefined || reach.cursor !== undefined);
  }

  /** Reads a list further down. While one reading is under way there is no other. */
  loadMore(filter: Filter): Promise<void> {
    if (!this.hasMore(filter)) return Promise.resolve();
    this.#loading[filter] ??= this.#loadMore(filter).finally(() => {
      delete this.#loading[filter];
      this.#set({ loadingMore: Object.keys(this.#loading).length > 0 });
    });
    this.#set({ loadingMore: true });
    return this.#loading[filter];
  }

  async #loadMore(filter: Filter): Promise<void> {
    const cursor = this.#reach[filter]?.cursor;
    const page = await this.service.backups({
      limit: PAGE_MORE,
      ...(filter === "all" ? {} : { status: filter }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    this.#read(filter, page.backups, page.nextCursor);
  }

  /** Makes some backups known, such as those of a day. */
  async know(ids: readonly string[]): Promise<void> {
    const known = new Set(this.#seen.backups.map((backup) => backup.id));
    const wanted = ids.filter((id) => !known.has(id)).slice(0, OF_A_DAY);
    const found = await Promise.all(wanted.map((id) => this.service.backup(id, { tries: TRIES }).catch(ignoreMissing)));
    this.#merge(found.filter((backup) => backup !== undefined));
  }

  /** The backups that can be restored, newest first: all of them, within reason. */
  async restorable(): Promise<readonly BackupStatus[]> {
    for (let n = 0; n < RESTORABLE_PAGES && this.hasMore("completed"); n += 1) await this.loadMore("completed");
    return this.list("completed").filter(isRestorable);
  }

  // ---- what a person asks for

  async startBackup(source: string | undefined): Promise<BackupStatus> {
    const backup = await (source === undefined ? this.service.startAutomaticBackup() : this.service.createManualBackup(source));
    this.#merge([backup]);
    this.#follow();
    return backup;
  }

  async cancelBackup(id: string): Promise<void> {
    this.#merge([await this.service.cancelBackup(id)]);
  }

  async pinBackup(id: string, pinned: boolean): Promise<void> {
    this.#merge([await this.service.pinBackup(id, pinned)]);
  }

  async startRestore(request: RestoreRequest): Promise<RestoreStatus> {
    const restore = await this.service.startRestore(request);
    this.#mergeRestores([restore]);
    this.#follow();
    return restore;
  }

  async cancelRestore(id: string): Promise<void> {
    this.#mergeRestores([await this.service.cancelRestore(id)]);
  }

  async approveRestore(id: string): Promise<void> {
    this.#mergeRestores([await this.service.approveRestore(id)]);
    this.#follow();
  }

  /** Lets go what the policy does not keep, and comes back with how many backups that were. */
  async cleanUp(): Promise<number> {
    const removed = await this.service.cleanupOldBackups();
    this.#reportsAt = Number.NEGATIVE_INFINITY;
    await this.refresh();
    return removed;
  }

  // ---- looking

  async #wake(): Promise<void> {
    if (this.#seen.summary === undefined) await this.#remember();
    if (this.#running) await this.refresh();
  }

  async #look(): Promise<void> {
    const options = { tries: TRIES };
    try {
      const [summary, page, restores] = await Promise.all([
        this.service.summary(options),
        this.service.backups({ limit: PAGE, ...options }),
        this.service.restores({ limit: RESTORES, ...options }),
      ]);
      this.#set({ connection: "ok", problem: undefined, againAt: undefined, summary, seenAt: this.service.now() });
      this.#mergeRestores(restores.restores);
      this.#readNewest(page.backups, page.nextCursor);
      if (this.service.now() - this.#reportsAt > REPORTS_EVERY_MS) {
        await this.#lookAtReports(summary).catch((reportsProblem: unknown) => this.#set({ reportsProblem }));
      }
      this.#keep();
      this.#follow();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #lookAtReports(summary: Summary): Promise<void> {
    const options = { tries: TRIES };
    const { service } = this;
    const [history, usage, drills, audit, cleanups] = await Promise.all([
      service.history(options),
      service.usage(options).catch(ignoreMissing),
      service.drills({ limit: DRILLS, ...options }),
      summary.you.administer ? service.audit({ limit: AUDIT, ...options }) : undefined,
      service.cleanups({ limit: DRILLS, ...options }),
    ]);
    this.#reportsAt = service.now();
    this.#set({
      history,
      usage,
      drills: drills.drills,
      streak: drills.streak,
      audit: audit?.entries,
      cleanups: cleanups.cleanups,
      hasReports: true,
      reportsProblem: undefined,
    });
  }

  #fail(error: unknown): void {
    if (error instanceof BackupAbortedError) return;
    let connection: Connection = "error";
    let againAt: number | undefined;
    if (error instanceof BackupOfflineError) connection = "offline";
    if (error instanceof BackupApiError) {
      if (error.status === 401) connection = "unauthorized";
      if (error.status === 403) connection = "forbidden";
      if (error.status === 429) {
        connection = "limited";
        againAt = this.service.now() + (error.retryAfterS ?? 60) * 1_000;
      }
    }
    this.#set({ connection, problem: error, againAt });
  }

  #schedule(): void {
    if (!this.#running) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    const { againAt } = this.#seen;
    const wait = againAt === undefined ? 0 : againAt - this.service.now();
    this.#timer = setTimeout(() => void this.refresh(), Math.max(this.#options.pollMs ?? POLL_MS, wait));
  }

  /** Follows the newest backup and the newest restore that run. */
  #follow(): void {
    if (!this.#running) return;
    const backup = this.#seen.backups.find(isRunning);
    const restore = this.#seen.restores.find((r) => r.status === "pending" || r.status === "in_progress");
    if (backup) {
      void this.#followOne(backup.id, "backup", (options) => this.service.watch(backup.id, options), (status) => this.#merge([status]));
    }
    if (restore) {
      const merge = (status: RestoreStatus) => this.#mergeRestores([status]);
      void this.#followOne(restore.id, "restore", (options) => this.service.watchRestore(restore.id, options), merge);
    }
  }

  async #followOne<T extends BackupStatus | RestoreStatus>(
    id: string,
    what: "backup" | "restore",
    watch: (options: { signal: AbortSignal; onOffline: (offline: boolean) => void }) => AsyncIterableIterator<T>,
    merge: (status: T) => void,
  ): Promise<void> {
    if (this.#following.has(id)) return;
    const follower = new AbortController();
    this.#following.set(id, follower);
    const onOffline = (offline: boolean) => {
      if (this.#seen.summary !== undefined) this.#set({ connection: offline ? "offline" : "ok" });
    };
    try {
      const changes = watch({ signal: follower.signal, onOffline });
      let last: T | undefined;
      for (let step = await changes.next(); !step.done; step = await changes.next()) {
        last = step.value;
        merge(step.value);
      }
      if (last === undefined || follower.signal.aborted) return;
      const end = last.status === "completed" ? "completed" : "failed";
      this.#options.onEvent?.({ type: `${what}.${end}`, id, ...(last.error === undefined ? {} : { error: last.error }) });
      this.#reportsAt = Number.NEGATIVE_INFINITY;
      // What was seen while it was under way is old.
      await this.#looking;
      await this.refresh();
    } catch (error) {
      // It is seen by the next look as well.
      if (!(error instanceof BackupAbortedError)) this.#fail(error);
    } finally {
      this.#following.delete(id);
    }
  }

  // ---- what is known

  /** The newest page: what lies between it and what was read before is a gap, and what was read before is left out then. */
  #readNewest(backups: readonly BackupStatus[], cursor: string | undefined): void {
    const reach = this.#reach.all;
    const oldest = backups[backups.length - 1]?.id ?? "";
    const newestKnown = this.#seen.backups[0]?.id;
    const hasGap = this.#isRemembered || (cursor !== undefined && newestKnown !== undefined && newestKnown < oldest);
    this.#isRemembered = false;
    if (hasGap) this.#reach = {};
    if (reach === undefined || hasGap || oldest < reach.floor) this.#reach = { ...this.#reach, all: { floor: cursor === undefined ? "" : oldest, cursor } };
    this.#merge(backups);
  }

  #read(filter: Filter, backups: readonly BackupStatus[], cursor: string | undefined): void {
    const oldest = backups[backups.length - 1]?.id ?? this.#reach[filter]?.floor ?? "";
    this.#reach = { ...this.#reach, [filter]: { floor: cursor === undefined ? "" : oldest, cursor } };
    this.#merge(backups);
  }

  #merge(changed: readonly BackupStatus[]): void {
    this.#set({ backups: merged(this.#seen.backups, changed) });
  }

  #mergeRestores(changed: readonly RestoreStatus[]): void {
    this.#set({ restores: merged(this.#seen.restores, changed) });
  }

  #set(change: Partial<Seen>): void {
    this.#seen = { ...this.#seen, ...change };
    this.#listeners.forEach((listener) => listener());
  }

  // ---- while the app is closed

  #keep(): void {
    const { summary, seenAt, backups, restores } = this.#seen;
    const kept = { version: KEPT_VERSION, summary, seenAt, backups: backups.slice(0, PAGE), restores: restores.slice(0, RESTORES) };
    try {
      void Promise.resolve(this.#options.storage?.setItem(KEPT_KEY, JSON.stringify(kept))).catch(() => undefined);
    } catch {
      // A storage that is full keeps nothing: the next look shows it all again.
    }
  }

  async #remember(): Promise<void> {
    try {
      const text = await this.#options.storage?.getItem(KEPT_KEY);
      if (!text || this.#seen.summary !== undefined) return;
      const kept = JSON.parse(text) as Pick<Seen, "summary" | "seenAt" | "backups" | "restores"> & { version: number };
      if (kept.version !== KEPT_VERSION || !kept.summary) return;
      this.#set({ summary: kept.summary, seenAt: kept.seenAt, restores: kept.restores });
      this.#reach = { all: { floor: kept.backups[kept.backups.length - 1]?.id ?? "", cursor: undefined } };
      this.#merge(kept.backups);
      this.#isRemembered = true;
    } catch {
      // What cannot be read was kept by another version: it is looked at anew.
    }
  }
}

/** Puts what has changed in its place, newest first. */
function merged<T extends { id: string }>(known: readonly T[], changed: readonly T[]): readonly T[] {
  const all = new Map(known.map((record) => [record.id, record]));
  let isNews = false;
  for (const record of changed) {
    const before = all.get(record.id);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(record)) continue;
    all.set(record.id, record);
    isNews = true;
  }
  return isNews ? [...all.values()].sort((a, b) => (a.id < b.id ? 1 : -1)) : known;
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof BackupApiError && error.status === 404) return undefined;
  throw error;
}

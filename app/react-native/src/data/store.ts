/**
 * What the screen knows of the backups, and how it stays true: one look at a time, and each job that runs followed to its end.
 *
 * Always holds: what was seen stays when a look fails, with the time at which it was seen; a later answer is never undone by an
 * earlier look; a job that is over is never under way again; what was kept of one project is never shown for another; nothing is
 * asked for while it is stopped. Knows nothing of React.
 */

import {
  BackupAbortedError,
  BackupApiError,
  BackupOfflineError,
  type BackupService,
  type BackupStatus,
  type CleanupStatus,
  type RestoreRequest,
  type RestoreStatus,
  type Summary,
} from "@gasrapido/backup-client";
import { isRestorable } from "../model/copy";
import { isUnderWay } from "../model/job";
import { keep, remember, type KeptStorage } from "./kept";
import { NOTHING, type Connection, type Filter, type Seen } from "./seen";

/** What of the service is used: so that a host may give its own. */
export type Backups = Pick<BackupService, keyof BackupService>;

/** What the host may want to tell, such as by a notification of its own. */
export interface BackupEvent {
  type: "backup.completed" | "backup.failed" | "restore.completed" | "restore.failed";
  id: string;
  error?: string;
}

export interface StoreOptions {
  /** Milliseconds between looks; 30,000 without. */
  pollMs?: number | undefined;
  storage?: KeptStorage | undefined;
  onEvent?: ((event: BackupEvent) => void) | undefined;
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
/** Of what is looked for by id, so many at once. */
const AT_ONCE = 4;

type Job = { id: string; status: string; error?: string };
type Watch<T> = (id: string, options: { signal: AbortSignal; onOffline: (offline: boolean) => void }) => AsyncIterableIterator<T>;

let stores = 0;

export class BackupStore {
  /** Tells this store from any other. */
  readonly id = (stores += 1);
  readonly service: Backups;
  readonly #options: StoreOptions;
  readonly #listeners = new Set<() => void>();
  readonly #following = new Map<string, AbortController>();
  readonly #loading: Partial<Record<Filter, Promise<void>>> = {};
  /** Counts what was asked and answered, so that it is known which came first. */
  #turn = 0;
  /** The turn at which a record was changed by what was done, or followed. */
  readonly #changed = new Map<string, number>();
  #seen: Seen = NOTHING;
  /** The newest of the list that was read without gaps. */
  #top: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> | undefined;
  #reporting: Promise<void> | undefined;
  #reportsAt = Number.NEGATIVE_INFINITY;
  #isRunning = false;
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
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#wake();
  }

  stop(): void {
    this.#isRunning = false;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#following.forEach((follower) => follower.abort());
    this.#following.clear();
  }

  /** Looks now, and comes back when the reports were looked at too, where that was due. While one look is under way there is no other. */
  async refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      this.#schedule();
    });
    await this.#looking;
    await this.#reporting;
  }

  /** Of the backups that are known those that belong to a list, newest first, without gaps; those that were sealed again once. */
  list(filter: Filter): readonly BackupStatus[] {
    const { reach } = this.#seen;
    // What all were read down to, each status was.
    const floors = [reach[filter], reach.all].flatMap((r) => (r === undefined ? [] : [r.floor])).sort();
    const floor = floors[0];
    if (floor === undefined) return [];
    return this.#seen.backups.filter((b) => b.id >= floor && b.supersededBy === undefined && (filter === "all" || b.status === filter));
  }

  hasMore(filter: Filter): boolean {
    const { all, [filter]: reach } = this.#seen.reach;
    return all?.cursor !== undefined && (reach === undefined || reach.cursor !== undefined);
  }

  /** Reads a list further down. While one reading is under way there is no other. */
  loadMore(filter: Filter): Promise<void> {
    if (!this.hasMore(filter)) return Promise.resolve();
    this.#loading[filter] ??= this.#loadMore(filter).finally(() => delete this.#loading[filter]);
    return this.#loading[filter];
  }

  /** Makes some backups known, such as those of a day. */
  async know(ids: readonly string[]): Promise<void> {
    const known = new Set(this.#seen.backups.map((backup) => backup.id));
    const wanted = ids.filter((id) => !known.has(id));
    const look = async () => {
      for (let id = wanted.shift(); id !== undefined; id = wanted.shift()) {
        const turn = this.#next();
        const found = await this.service.backup(id, { tries: TRIES }).catch(nothingIfMissing);
        if (found) this.#merge([found], turn);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, look));
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

  /** Asks for a cleanup; what became of it is in {@link Seen.cleanups}. */
  async startCleanup(): Promise<CleanupStatus> {
    const cleanup = await this.service.startCleanup();
    this.#mergeCleanups([cleanup]);
    this.#follow();
    return cleanup;
  }

  // ---- looking

  async #wake(): Promise<void> {
    if (this.#seen.summary === undefined) await this.#remember();
    if (this.#isRunning) await this.refresh();
  }

  async #look(): Promise<void> {
    const options = { tries: TRIES };
    const turn = this.#next();
    try {
      const [summary, page, restores] = await Promise.all([
        this.service.summary(options),
        this.service.backups({ limit: PAGE, ...options }),
        this.service.restores({ limit: RESTORES, ...options }),
      ]);
      this.#forgetOthers(summary);
      const at = Date.parse(summary.at);
      this.#set({ connection: "ok", problem: undefined, againAt: undefined, summary, seenAt: Number.isNaN(at) ? this.service.now() : at });
      this.#mergeRestores(restores.restores, turn);
      this.#readNewest(page.backups, page.nextCursor, turn);
      keep(this.#options.storage, this.service.baseUrl, this.#seen);
      this.#follow();
      if (this.service.now() - this.#reportsAt > REPORTS_EVERY_MS) {
        this.#reporting ??= this.#lookAtReports(summary).finally(() => (this.#reporting = undefined));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Each by itself: what fails of them leaves the others. */
  async #lookAtReports(summary: Summary): Promise<void> {
    const options = { tries: TRIES };
    const { service } = this;
    let reportsProblem: unknown;
    const show = async <T>(report: Promise<T>, change: (found: T) => Partial<Seen>) => {
      try {
        this.#set(change(await report));
      } catch (error) {
        reportsProblem = error;
      }
    };
    const reports = [
      show(service.history(options), (history) => ({ history })),
      show(service.usage(options).catch(nothingIfMissing), (usage) => ({ usage: usage ?? null })),
      show(service.drills({ limit: DRILLS, ...options }), ({ drills, streak }) => ({ drills, streak })),
      show(service.cleanups({ limit: DRILLS, ...options }), ({ cleanups }) => ({ cleanups: merged(this.#seen.cleanups ?? [], cleanups, () => true) })),
    ];
    if (summary.you.administer) reports.push(show(service.audit({ limit: AUDIT, ...options }), ({ entries }) => ({ audit: entries })));
    await Promise.all(reports);
    if (reportsProblem === undefined) this.#reportsAt = service.now();
    this.#set({ reportsProblem });
    this.#follow();
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
    if (!this.#isRunning) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    const { againAt } = this.#seen;
    const wait = againAt === undefined ? 0 : againAt - this.service.now();
    this.#timer = setTimeout(() => void this.refresh(), Math.max(this.#options.pollMs ?? POLL_MS, wait));
  }

  // ---- following

  /** Follows what runs, each once. */
  #follow(): void {
    if (!this.#isRunning) return;
    const { backups, restores, cleanups } = this.#seen;
    for (const { id } of backups.filter(isUnderWay)) void this.#followOne(id, (of, options) => this.service.watch(of, options), (b) => this.#merge([b]));
    for (const { id } of restores.filter(isUnderWay)) {
      void this.#followOne(id, (of, options) => this.service.watchRestore(of, options), (r) => this.#mergeRestores([r]));
    }
    for (const { id } of (cleanups ?? []).filter(isUnderWay)) {
      void this.#followOne(id, (of, options) => this.service.watchCleanup(of, options), (c) => this.#mergeCleanups([c]));
    }
  }

  async #followOne<T extends Job>(id: string, watch: Watch<T>, merge: (status: T) => void): Promise<void> {
    if (this.#following.has(id)) return;
    const follower = new AbortController();
    this.#following.set(id, follower);
    // Only a look says that all is well again.
    const onOffline = (offline: boolean) => {
      if (offline && this.#seen.connection === "ok") this.#set({ connection: "offline" });
      if (!offline) void this.refresh();
    };
    try {
      const changes = watch(id, { signal: follower.signal, onOffline });
      for (let step = await changes.next(); !step.done; step = await changes.next()) {
        if (follower.signal.aborted) return;
        merge(step.value);
      }
      // What was seen while it was under way is old.
      this.#reportsAt = Number.NEGATIVE_INFINITY;
      await this.#looking;
      if (!follower.signal.aborted) await this.refresh();
    } catch (error) {
      if (error instanceof BackupApiError && error.status === 404) this.#drop(id);
      // A refusal is seen by the next look as well, and said by it.
      else if (!(error instanceof BackupAbortedError)) void this.refresh();
    } finally {
      if (this.#following.get(id) === follower) this.#following.delete(id);
    }
  }

  /** Tells the host of a job that was under way and is over. */
  #tell(what: "backup" | "restore", before: Job | undefined, now: Job): void {
    if (before === undefined || !isUnderWay(before) || isUnderWay(now)) return;
    if (now.status !== "completed" && now.status !== "failed") return;
    try {
      this.#options.onEvent?.({ type: `${what}.${now.status}`, id: now.id, ...(now.error === undefined ? {} : { error: now.error }) });
    } catch {
      // What the host does with it is the host's.
    }
  }

  // ---- what is known

  #next(): number {
    this.#turn += 1;
    return this.#turn;
  }

  /** The newest page: what lies between it and what was read before is a gap, and what was read before is left out then. */
  #readNewest(backups: readonly BackupStatus[], cursor: string | undefined, turn: number): void {
    const oldest = backups[backups.length - 1]?.id ?? "";
    const { all } = this.#seen.reach;
    const hasGap = this.#isRemembered || all === undefined || (cursor !== undefined && this.#top !== undefined && this.#top < oldest);
    this.#isRemembered = false;
    this.#top = backups[0]?.id ?? this.#top;
    const read = { floor: cursor === undefined ? "" : oldest, cursor };
    if (hasGap) this.#set({ reach: { all: read } });
    else if (oldest < all.floor) this.#set({ reach: { ...this.#seen.reach, all: read } });
    this.#merge(backups, turn);
  }

  async #loadMore(filter: Filter): Promise<void> {
    const turn = this.#next();
    const before = this.#seen.reach;
    const cursor = before[filter]?.cursor;
    const page = await this.service.backups({
      limit: PAGE_MORE,
      ...(filter === "all" ? {} : { status: filter }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    this.#merge(page.backups, turn);
    const { reach } = this.#seen;
    // A gap came between meanwhile: this page is beyond it.
    if (reach[filter] !== before[filter]) return;
    const floor = page.backups[page.backups.length - 1]?.id ?? before[filter]?.floor ?? reach.all?.floor ?? "";
    this.#set({ reach: { ...reach, [filter]: { floor: page.nextCursor === undefined ? "" : floor, cursor: page.nextCursor } } });
  }

  #merge(found: readonly BackupStatus[], turn?: number): void {
    const backups = merged(this.#seen.backups, found, this.#isNewer(turn), (before, now) => this.#tell("backup", before, now));
    if (backups !== this.#seen.backups) this.#set({ backups });
  }

  #mergeRestores(found: readonly RestoreStatus[], turn?: number): void {
    const restores = merged(this.#seen.restores, found, this.#isNewer(turn), (before, now) => this.#tell("restore", before, now));
    if (restores !== this.#seen.restores) this.#set({ restores });
  }

  #mergeCleanups(found: readonly CleanupStatus[]): void {
    this.#set({ cleanups: merged(this.#seen.cleanups ?? [], found, this.#isNewer(undefined)) });
  }

  /**
   * Whether what was found is newer than what is known. What was asked for at some turn is not, where the record was changed after
   * that; without a turn it is what was done, or followed, just now.
   */
  #isNewer(turn: number | undefined): (id: string) => boolean {
    if (turn !== undefined) return (id) => (this.#changed.get(id) ?? 0) < turn;
    return (id) => {
      this.#changed.set(id, this.#next());
      return true;
    };
  }

  #drop(id: string): void {
    const without = <T extends { id: string }>(all: readonly T[]) => all.filter((record) => record.id !== id);
    this.#set({ backups: without(this.#seen.backups), restores: without(this.#seen.restores) });
  }

  #set(change: Partial<Seen>): void {
    this.#seen = { ...this.#seen, ...change };
    this.#listeners.forEach((listener) => listener());
  }

  // ---- while the app is closed

  async #remember(): Promise<void> {
    const kept = await remember(this.#options.storage, this.service.baseUrl);
    if (kept === undefined || this.#seen.summary !== undefined) return;
    const reach = { all: { floor: kept.backups[kept.backups.length - 1]?.id ?? "", cursor: undefined } };
    this.#set({ ...kept, reach });
    this.#isRemembered = true;
  }

  /** Lets go what was seen of another project, or by another person. */
  #forgetOthers(summary: Summary): void {
    const before = this.#seen.summary;
    if (before === undefined || (before.source === summary.source && before.you.id === summary.you.id)) return;
    this.stop();
    this.#isRunning = true;
    this.#changed.clear();
    this.#top = undefined;
    this.#reportsAt = Number.NEGATIVE_INFINITY;
    this.#set({ ...NOTHING });
  }
}

/** Puts what was found in its place, newest first. What is over is never under way again. */
function merged<T extends Job>(
  known: readonly T[],
  found: readonly T[],
  isNewer: (id: string) => boolean,
  tell: (before: T | undefined, now: T) => void = () => undefined,
): readonly T[] {
  const all = new Map(known.map((record) => [record.id, record]));
  const told: [T | undefined, T][] = [];
  for (const record of found) {
    const before = all.get(record.id);
    if (!isNewer(record.id) || (before && !isUnderWay(before) && isUnderWay(record))) continue;
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(record)) continue;
    all.set(record.id, record);
    told.push([before, record]);
  }
  if (told.length === 0) return known;
  told.forEach(([before, now]) => tell(before, now));
  return [...all.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

function nothingIfMissing(error: unknown): undefined {
  if (error instanceof BackupApiError && error.status === 404) return undefined;
  throw error;
}

/** The specification's `BackupService`, and what goes beyond it. */

import { BackupError, BackupFailedError } from "./errors.js";
import { Transport, type Answer, type RequestOptions, type TransportOptions } from "./transport.js";
import type {
  AuditPage,
  BackupMetadata,
  BackupPage,
  BackupStatus,
  CleanupPage,
  CleanupPlan,
  CleanupStatus,
  DrillPage,
  History,
  Policy,
  RestorePage,
  RestorePlan,
  RestoreRequest,
  RestoreStatus,
  RotationPage,
  Status,
  Summary,
  TableList,
  Usage,
} from "./types.js";
import { last, watch, type WatchOptions } from "./watch.js";

/** What a look at something takes. */
export interface LookOptions {
  signal?: AbortSignal;
  /** How often it is tried at most; as the service is set up, without. */
  tries?: number;
}

export interface PageOptions extends LookOptions {
  /** At most so many: 1 to 100. */
  limit?: number;
  /** The `nextCursor` of the page before. */
  cursor?: string;
}

export interface BackupFilter extends PageOptions {
  status?: Status;
  source?: string;
}

/** Backups a list has, unless it is said otherwise; and the most that a page has. */
const LIST = 20;
const PAGE_MAX = 100;

export class BackupService {
  /** Where the API is: what tells one project from another. */
  readonly baseUrl: string;
  readonly #transport: Transport;
  readonly #seen = new Map<string, BackupStatus>();

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.baseUrl = options.baseUrl.replace(/\/+$/, "");
  }

  // ---- the specification

  /** Asks for a backup of whatever is due. Follow it with {@link watch}. */
  async startAutomaticBackup(): Promise<BackupStatus> {
    return this.#keep(await this.#post<BackupStatus>("/v1/backups", undefined));
  }

  /** Asks for a backup of a part: the name of the source or `all`, a class of data, a schema, a table, a bucket. */
  async createManualBackup(source: string): Promise<BackupStatus> {
    return this.#keep(await this.#post<BackupStatus>("/v1/backups", { source }));
  }

  /** Restores, and comes back when that is over: `true` when the target was proven to hold the backup. {@link startRestore} does not wait. */
  async restoreBackup(request: RestoreRequest): Promise<boolean> {
    const { id } = await this.startRestore(request);
    const end = await last(this.watchRestore(id));
    return end?.status === "completed";
  }

  /** The newest backups that can be restored. */
  async listBackups(limit: number = LIST): Promise<BackupMetadata[]> {
    const found: BackupMetadata[] = [];
    let cursor: string | undefined;
    do {
      const page: BackupPage = await this.backups({
        status: "completed",
        limit: Math.min(PAGE_MAX, Math.max(1, limit - found.length)),
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { metadata, expiredAt, supersededBy } of page.backups) {
        if (metadata && expiredAt === undefined && supersededBy === undefined) found.push(metadata);
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined && found.length < limit);
    return found.slice(0, limit);
  }

  /** Lets go what the policy does not keep, and comes back with how many backups that were. */
  async cleanupOldBackups(): Promise<number> {
    const { id } = await this.startCleanup();
    const end = await last(this.watchCleanup(id));
    if (!end || end.status !== "completed") throw new BackupFailedError(end?.error ?? "the cleanup was not followed to its end");
    return end.removed;
  }

  /** What was seen last of a backup, without asking: of one that was asked for, listed, looked at or followed by this service. */
  getBackupStatus(backupId: string): BackupStatus | undefined {
    return this.#seen.get(backupId);
  }

  // ---- backups

  /** Gives each change of a backup, the last of which is `completed` or `failed`. */
  watch(backupId: string, options: WatchOptions = {}): AsyncIterableIterator<BackupStatus> {
    const look = async (request: RequestOptions): Promise<Answer<BackupStatus>> => {
      const answer = await this.#transport.get<BackupStatus>(`/v1/backups/${encodeURIComponent(backupId)}`, request);
      if (answer.body) this.#keep(answer.body);
      return answer;
    };
    return watch(look, options);
  }

  /** A backup as it is now. */
  async backup(backupId: string, options: LookOptions = {}): Promise<BackupStatus> {
    return this.#keep(await this.#get<BackupStatus>(`/v1/backups/${encodeURIComponent(backupId)}`, options));
  }

  /** A page of backups, newest first. One that is chosen by status or source may be short, and have a `nextCursor` all the same. */
  async backups(filter: BackupFilter = {}): Promise<BackupPage> {
    const { status, source } = filter;
    const page = await this.#page<BackupPage>("/v1/backups", filter, { status, source });
    page.backups.forEach((backup) => this.#keep(backup));
    return page;
  }

  /** What is inside a backup. */
  tables(backupId: string, options: LookOptions = {}): Promise<TableList> {
    return this.#get(`/v1/backups/${encodeURIComponent(backupId)}/tables`, options);
  }

  /** Stops a backup that is not whole in the first region yet. */
  async cancelBackup(backupId: string): Promise<BackupStatus> {
    return this.#keep(await this.#post<BackupStatus>(`/v1/backups/${encodeURIComponent(backupId)}/cancel`, undefined));
  }

  /** Keeps a backup whatever the policy says, or no longer. */
  async pinBackup(backupId: string, pinned: boolean, note?: string): Promise<BackupStatus> {
    const body = note === undefined ? { pinned } : { pinned, note };
    return this.#keep(await this.#post<BackupStatus>(`/v1/backups/${encodeURIComponent(backupId)}/pin`, body));
  }

  // ---- restores

  /** What a restore would do. */
  planRestore(request: RestoreRequest): Promise<RestorePlan> {
    return this.#post("/v1/restores", { ...request, dryRun: true });
  }

  /** Asks for a restore, and does not wait for its end. Follow it with {@link watchRestore}. */
  async startRestore(request: RestoreRequest): Promise<RestoreStatus> {
    // Whoever says so does not want it to be done.
    if (request.dryRun) throw new BackupError("a dry run restores nothing: use planRestore");
    return this.#post("/v1/restores", { ...request, dryRun: false });
  }

  watchRestore(restoreId: string, options: WatchOptions = {}): AsyncIterableIterator<RestoreStatus> {
    return watch((request) => this.#transport.get<RestoreStatus>(`/v1/restores/${encodeURIComponent(restoreId)}`, request), options);
  }

  restore(restoreId: string, options: LookOptions = {}): Promise<RestoreStatus> {
    return this.#get(`/v1/restores/${encodeURIComponent(restoreId)}`, options);
  }

  restores(options: PageOptions = {}): Promise<RestorePage> {
    return this.#page("/v1/restores", options);
  }

  /** Consents to a restore into production that another person asked for. */
  approveRestore(restoreId: string): Promise<RestoreStatus> {
    return this.#post(`/v1/restores/${encodeURIComponent(restoreId)}/approve`, undefined);
  }

  cancelRestore(restoreId: string): Promise<RestoreStatus> {
    return this.#post(`/v1/restores/${encodeURIComponent(restoreId)}/cancel`, undefined);
  }

  // ---- cleanups

  /** What a cleanup would remove, and why the rest stays. */
  planCleanup(): Promise<CleanupPlan> {
    return this.#post("/v1/cleanup", { dryRun: true });
  }

  /** Asks for a cleanup, and does not wait for its end. */
  startCleanup(): Promise<CleanupStatus> {
    return this.#post("/v1/cleanup", { dryRun: false });
  }

  watchCleanup(cleanupId: string, options: WatchOptions = {}): AsyncIterableIterator<CleanupStatus> {
    return watch((request) => this.#transport.get<CleanupStatus>(`/v1/cleanups/${encodeURIComponent(cleanupId)}`, request), options);
  }

  cleanups(options: PageOptions = {}): Promise<CleanupPage> {
    return this.#page("/v1/cleanups", options);
  }

  // ---- whether all is well

  /** Whether the source is protected, and why not; and what the person who asks may do. */
  summary(options: LookOptions = {}): Promise<Summary> {
    return this.#get("/v1/summary", options);
  }

  /** The backups of the last days, and those that were due and never began. */
  history(options: LookOptions & { days?: number } = {}): Promise<History> {
    const { days, ...look } = options;
    return this.#get(days === undefined ? "/v1/history" : `/v1/history?days=${days}`, look);
  }

  usage(options: LookOptions = {}): Promise<Usage> {
    return this.#get("/v1/usage", options);
  }

  drills(options: PageOptions = {}): Promise<DrillPage> {
    return this.#page("/v1/drills", options);
  }

  rotations(options: PageOptions = {}): Promise<RotationPage> {
    return this.#page("/v1/rotations", options);
  }

  audit(options: PageOptions = {}): Promise<AuditPage> {
    return this.#page("/v1/audit", options);
  }

  policy(options: LookOptions = {}): Promise<Policy> {
    return this.#get("/v1/policy", options);
  }

  /** Milliseconds since 1970 by the clock of the API: what ages are counted by, whatever the phone's clock says. */
  now(): number {
    return this.#transport.now();
  }

  #keep(status: BackupStatus): BackupStatus {
    this.#seen.set(status.id, status);
    return status;
  }

  async #get<T>(path: string, options: LookOptions): Promise<T> {
    return required((await this.#transport.get<T>(path, options)).body);
  }

  async #post<T>(path: string, body: unknown): Promise<T> {
    return required((await this.#transport.post<T>(path, body)).body);
  }

  #page<T>(path: string, options: PageOptions, filter: Record<string, string | undefined> = {}): Promise<T> {
    const all: Record<string, string | number | undefined> = { limit: options.limit, cursor: options.cursor, ...filter };
    const query = Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
      .join("&");
    return this.#get<T>(query === "" ? path : `${path}?${query}`, options);
  }
}

function required<T>(body: T | undefined): T {
  if (body === undefined) throw new BackupFailedError("the API answered nothing");
  return body;
}

export { BackupAbortedError, BackupApiError, BackupError, BackupFailedError, BackupOfflineError } from "./errors.js";
export { BackupService, type BackupFilter, type LookOptions, type PageOptions } from "./service.js";
export type { TransportOptions } from "./transport.js";
export type * from "./types.js";
export type { Followed, WatchOptions } from "./watch.js";

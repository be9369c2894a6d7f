/** What can go wrong. Every error of this package is a {@link BackupError}. */

import type { Problem } from "./types.js";

export class BackupError extends Error {
  override readonly name: string = "BackupError";
}

/** The API refused, or could not do, what was asked for. */
export class BackupApiError extends BackupError {
  override readonly name = "BackupApiError";
  /** The HTTP status. */
  readonly status: number;
  /** What programs tell problems apart by, such as `not_found`. */
  readonly code: string;
  /** The id by which the log of the function tells more. */
  readonly requestId: string | undefined;
  /** Seconds after which it may be asked again, where the API said so. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, problem: Partial<Problem>, requestId: string | undefined, retryAfterS: number | undefined) {
    super(problem.detail ?? problem.title ?? `the API answered ${status}`);
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.requestId = problem.requestId ?? requestId;
    this.retryAfterS = retryAfterS;
  }
}

/** Nobody answered, however often it was tried: no network, or the API is down. */
export class BackupOfflineError extends BackupError {
  override readonly name = "BackupOfflineError";
}

/** What was followed ended badly: the backup, restore or cleanup itself failed. */
export class BackupFailedError extends BackupError {
  override readonly name = "BackupFailedError";
}

/** Whoever asked did not want to wait any more. */
export class BackupAbortedError extends BackupError {
  override readonly name = "BackupAbortedError";
}

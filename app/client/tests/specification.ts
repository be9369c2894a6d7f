/**
 * The types of the owner's specification, word for word, and that this package has them: nothing of theirs is missing or another, and
 * what is ours is optional. Compiled, not run.
 */

import type * as ours from "../src/index.js";

interface BackupMetadata {
  id: string;
  timestamp: string;
  source: string;
  size: number;
  checksum: string;
  encrypted: boolean;
  compression: string;
  region: string;
  bucket: string;
  path: string;
}

interface BackupStatus {
  id: string;
  status: "pending" | "in_progress" | "completed" | "failed";
  startedAt: string;
  completedAt?: string;
  error?: string;
  progress: number;
  metadata?: BackupMetadata;
}

interface RestoreRequest {
  backupId: string;
  targetEnvironment: "development" | "staging" | "production";
  restorePoint?: string;
}

interface BackupConfig {
  primaryBucket: string;
  secondaryBucket: string;
  tertiaryBucket: string;
  encryptionKeyId: string;
  region: string;
  backupSchedule: string;
  retentionDays: number;
}

interface BackupService {
  startAutomaticBackup(): Promise<ours.BackupStatus>;
  createManualBackup(source: string): Promise<ours.BackupStatus>;
  restoreBackup(request: ours.RestoreRequest): Promise<boolean>;
  listBackups(limit?: number): Promise<ours.BackupMetadata[]>;
  cleanupOldBackups(): Promise<number>;
  getBackupStatus(backupId: string): ours.BackupStatus | undefined;
}

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Expect<T extends true> = T;
type Flat<T> = { [K in keyof T]: T[K] };
/** Fields of the specification, as this package has them. */
type Theirs<Ours, Spec> = Flat<Pick<Ours, keyof Spec & keyof Ours>>;
/** Whether what is beyond the specification is optional. */
type RestIsOptional<Ours, Spec> = Record<never, never> extends Omit<Ours, keyof Spec> ? true : false;

export type Proof = [
  Expect<Equal<Flat<ours.BackupMetadata>, Flat<BackupMetadata>>>,
  Expect<Equal<Theirs<ours.BackupStatus, BackupStatus>, Flat<BackupStatus>>>,
  Expect<RestIsOptional<ours.BackupStatus, BackupStatus>>,
  Expect<Equal<Theirs<ours.RestoreRequest, RestoreRequest>, Flat<RestoreRequest>>>,
  Expect<RestIsOptional<ours.RestoreRequest, RestoreRequest>>,
  Expect<Equal<Flat<ours.BackupConfig>, Flat<BackupConfig>>>,
  Expect<Equal<Theirs<ours.BackupService, BackupService>, Flat<BackupService>>>,
];

// What somebody wrote against the specification compiles.
export function asSpecified(service: ours.BackupService, request: RestoreRequest): BackupStatus | undefined {
  void service.restoreBackup(request);
  return service.getBackupStatus(request.backupId);
}

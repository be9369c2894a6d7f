//! What the API says, and takes: the specification's types, with optional fields of ours beside them.

mod backups;
mod cleanups;
mod reports;
mod restores;

pub(crate) use backups::{BackupPage, BackupRequest, BackupStatus, PinRequest, TableList};
pub(crate) use cleanups::{CleanupPage, CleanupPlan, CleanupRequest, CleanupStatus};
pub(crate) use reports::{AuditPage, BackupConfig, DrillPage, Health, Policy, RotationPage, Summary, You};
pub(crate) use restores::{RestorePage, RestoreRequest, RestoreStatus};

use engine::clock::Timestamp;

/// A run of which nothing was heard for so long has stalled.
const STALLED_MS: i64 = 90_000;

/// Whether work of which something should be heard is silent.
fn is_stalled(heartbeat_at: Timestamp, now: Timestamp) -> bool {
    now.since(heartbeat_at) > STALLED_MS
}

//! What others are told. Never: anything of the data is in it.

use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::id::{RestoreId, SnapshotId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A backup began.
    #[serde(rename = "backup.started")]
    BackupStarted,
    /// A quarter of it is done.
    #[serde(rename = "backup.progress")]
    BackupProgress,
    /// It is whole in one more region.
    #[serde(rename = "backup.replicated")]
    BackupReplicated,
    /// It is whole in all regions.
    #[serde(rename = "backup.completed")]
    BackupCompleted,
    /// There will be none.
    #[serde(rename = "backup.failed")]
    BackupFailed,
    /// All of it was read back, and is what was backed up.
    #[serde(rename = "backup.verified")]
    BackupVerified,
    /// A restore from one region would fail.
    #[serde(rename = "backup.damaged")]
    BackupDamaged,
    /// It would not any more.
    #[serde(rename = "backup.repaired")]
    BackupRepaired,
    /// It was restored, or could not be.
    #[serde(rename = "backup.drilled")]
    BackupDrilled,
    /// It can no longer be restored.
    #[serde(rename = "backup.expired")]
    BackupExpired,
    /// A drill did not come to its end.
    #[serde(rename = "drill.broken")]
    DrillBroken,
    /// A restore waits for the consent of a second person.
    #[serde(rename = "restore.waiting")]
    RestoreWaiting,
    /// A restore began.
    #[serde(rename = "restore.started")]
    RestoreStarted,
    /// It is done, and proven.
    #[serde(rename = "restore.completed")]
    RestoreCompleted,
    /// It was not done.
    #[serde(rename = "restore.failed")]
    RestoreFailed,
    /// Something that is kept is sealed under a former key.
    #[serde(rename = "rotation.started")]
    RotationStarted,
    /// Nothing needs a former key any more.
    #[serde(rename = "rotation.completed")]
    RotationCompleted,
    /// Some backups cannot be sealed again.
    #[serde(rename = "rotation.stuck")]
    RotationStuck,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::BackupStarted,
        Self::BackupProgress,
        Self::BackupReplicated,
        Self::BackupCompleted,
        Self::BackupFailed,
        Self::BackupVerified,
        Self::BackupDamaged,
        Self::BackupRepaired,
        Self::BackupDrilled,
        Self::BackupExpired,
        Self::DrillBroken,
        Self::RestoreWaiting,
        Self::RestoreStarted,
        Self::RestoreCompleted,
        Self::RestoreFailed,
        Self::RotationStarted,
        Self::RotationCompleted,
        Self::RotationStuck,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackupStarted => "backup.started",
            Self::BackupProgress => "backup.progress",
            Self::BackupReplicated => "backup.replicated",
            Self::BackupCompleted => "backup.completed",
            Self::BackupFailed => "backup.failed",
            Self::BackupVerified => "backup.verified",
            Self::BackupDamaged => "backup.damaged",
            Self::BackupRepaired => "backup.repaired",
            Self::BackupDrilled => "backup.drilled",
            Self::BackupExpired => "backup.expired",
            Self::DrillBroken => "drill.broken",
            Self::RestoreWaiting => "restore.waiting",
            Self::RestoreStarted => "restore.started",
            Self::RestoreCompleted => "restore.completed",
            Self::RestoreFailed => "restore.failed",
            Self::RotationStarted => "rotation.started",
            Self::RotationCompleted => "rotation.completed",
            Self::RotationStuck => "rotation.stuck",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a person has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No.
    Info,
    /// Not yet.
    Warning,
    /// Yes.
    Error,
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The same for the same happening, however often it is told.
    pub id: String,
    /// What.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// Whether a person has to do something.
    pub severity: Severity,
    /// In one sentence.
    pub summary: String,
    /// The name of the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// The backup.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup_id: Option<SnapshotId>,
    /// The restore.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restore_id: Option<RestoreId>,
    /// What is restored into.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<Environment>,
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub percent: Option<u8>,
    /// Rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows: Option<u64>,
    /// Bytes stored in each region.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Milliseconds that it took to recover.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery_ms: Option<i64>,
    /// The same backup, sealed again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub superseded_by: Option<SnapshotId>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

impl Notification {
    pub(super) fn new(
        kind: Kind,
        of: impl fmt::Display,
        at: Timestamp,
        severity: Severity,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            id: format!("{kind}/{of}"),
            kind,
            at,
            severity,
            summary: summary.into(),
            source: None,
            backup_id: None,
            restore_id: None,
            environment: None,
            region: None,
            percent: None,
            rows: None,
            size: None,
            recovery_ms: None,
            superseded_by: None,
            error: None,
        }
    }
}

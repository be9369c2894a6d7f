//! What the API says: the specification's `BackupStatus` and `BackupMetadata`, and optional fields of ours beside them.

use engine::catalog::{
    BlobCounts, Drilled, Phase, Progress, Replica, SegmentCounts, SnapshotRecord, SnapshotSummary, Status, Trigger,
    Verified, Warning,
};
use engine::clock::Timestamp;
use engine::id::{DrillId, RotationId, SnapshotId};
use engine::ops::drill::{DrillRecord, Streak};
use engine::ops::rotate::RotationRecord;
use engine::stage::Sha256;
use engine::vault::VaultRole;
use serde::Serialize;

/// The specification's `BackupStatus`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupStatus {
    id: SnapshotId,
    status: Status,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Percent, 0 to 100.
    progress: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BackupMetadata>,
    // From here on ours.
    source: String,
    trigger: Trigger,
    /// The part that was asked for; everything without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    phase: Phase,
    heartbeat_at: Timestamp,
    tables: u64,
    tables_total: u64,
    rows: u64,
    /// Bytes of rows, before compression.
    bytes: u64,
    /// Bytes stored in the primary vault.
    bytes_stored: u64,
    /// What each segment cost.
    #[serde(flatten)]
    segments: SegmentCounts,
    /// Objects of Storage.
    #[serde(flatten)]
    blobs: BlobCounts,
    /// Why everything was read, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_reason: Option<String>,
    /// How often it was handed over to another invocation.
    hand_overs: u32,
    replicas: Vec<Replica>,
    /// How far it was read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Verified>,
    /// What came of the last drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    drilled: Option<Drilled>,
    /// The same backup, sealed again under another key: restoring this one restores that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<SnapshotId>,
    /// Since when it can no longer be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_at: Option<Timestamp>,
    warnings: Vec<Warning>,
}

/// A page of drills, newest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrillPage {
    pub(crate) drills: Vec<DrillRecord>,
    /// What the last ones show together; on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) streak: Option<Streak>,
    /// Give this as `before` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<DrillId>,
}

/// A page of rotations of keys, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct RotationPage {
    pub(crate) rotations: Vec<RotationRecord>,
    /// Give this as `before` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<RotationId>,
}

/// The specification's `BackupMetadata`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupMetadata {
    id: SnapshotId,
    timestamp: Timestamp,
    source: String,
    /// Bytes in each vault.
    size: u64,
    /// The SHA-256 of the inventory, which names every object with its own.
    checksum: Sha256,
    encrypted: bool,
    compression: String,
    region: String,
    bucket: String,
    /// The key of the inventory.
    path: String,
}

/// A page of backups, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct BackupPage {
    pub(crate) backups: Vec<BackupStatus>,
    /// Give this as `before` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<SnapshotId>,
}

impl From<SnapshotRecord> for BackupStatus {
    fn from(record: SnapshotRecord) -> Self {
        let Progress { percent, tables_total, tables, rows, bytes, bytes_stored, blobs, segments } = record.progress;
        let metadata = record.summary.as_ref().and_then(|summary| metadata(&record, summary));
        Self {
            id: record.id,
            status: record.status,
            started_at: record.started_at,
            completed_at: record.completed_at,
            error: record.error,
            progress: percent,
            metadata,
            source: record.source,
            trigger: record.trigger,
            part: record.part,
            phase: record.phase,
            heartbeat_at: record.heartbeat_at,
            tables,
            tables_total,
            rows,
            bytes,
            bytes_stored,
            segments,
            blobs,
            full_reason: record.full_reason,
            hand_overs: record.hand_overs.count,
            replicas: record.replicas,
            verified: record.verified,
            drilled: record.drilled,
            superseded_by: record.superseded_by,
            expired_at: record.expired_at,
            warnings: record.warnings,
        }
    }
}

fn metadata(record: &SnapshotRecord, summary: &SnapshotSummary) -> Option<BackupMetadata> {
    let primary = record.replicas.iter().find(|r| r.place.role == VaultRole::Primary)?;
    Some(BackupMetadata {
        id: record.id,
        timestamp: summary.taken_at,
        source: record.source.clone(),
        size: summary.size,
        checksum: summary.checksum,
        // Nothing else can be stored.
        encrypted: true,
        compression: summary.compression.clone(),
        region: primary.place.region.clone(),
        bucket: primary.place.bucket.clone(),
        path: summary.path.clone(),
    })
}

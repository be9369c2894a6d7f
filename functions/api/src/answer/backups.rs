//! Backups.

use super::is_stalled;
use engine::catalog::{
    BlobCounts, Cancellation, Drilled, Phase, Pin, Progress, Replica, SegmentCounts, SnapshotRecord, SnapshotSummary,
    Status, Trigger, Verified, Warning,
};
use engine::clock::Timestamp;
use engine::contents::{BucketContents, Contents, TableContents};
use engine::id::SnapshotId;
use engine::limits::STALLED_S;
use engine::retention::RetentionPolicy;
use engine::source::Coverage;
use engine::stage::Sha256;
use engine::vault::VaultRole;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The specification's `BackupStatus`. What is not in the specification is optional, and always sent where it is known.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupStatus {
    id: SnapshotId,
    status: Status,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    completed_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Percent, 0 to 100.
    #[schema(maximum = 100)]
    progress: u8,
    /// What was made, once it is whole in the primary vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    metadata: Option<BackupMetadata>,
    // From here on ours.
    /// The name of the source.
    #[schema(required = false)]
    source: String,
    #[schema(required = false)]
    trigger: Trigger,
    /// The part that was asked for; everything that was due without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    part: Option<String>,
    /// The id of the person who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    requested_by: Option<String>,
    /// Whether a person wants it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cancelled: Option<Cancellation>,
    /// What is being done.
    #[schema(required = false)]
    phase: Phase,
    /// When something was last heard of it.
    #[schema(required = false)]
    heartbeat_at: Timestamp,
    /// Whether something should have been heard of it since.
    #[schema(required = false)]
    stalled: bool,
    /// Tables read to the end.
    #[schema(required = false)]
    tables: u64,
    /// Tables to be read.
    #[schema(required = false)]
    tables_total: u64,
    /// Rows so far.
    #[schema(required = false)]
    rows: u64,
    /// Bytes of rows so far, before compression.
    #[schema(required = false)]
    bytes: u64,
    /// Bytes stored in the primary vault.
    #[schema(required = false)]
    bytes_stored: u64,
    /// What each segment cost.
    #[schema(required = false)]
    segments: SegmentCounts,
    /// Objects of Storage.
    #[schema(required = false)]
    objects: BlobCounts,
    /// Why everything was read, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    full_reason: Option<String>,
    /// How often it was handed over to another invocation.
    #[schema(required = false)]
    hand_overs: u32,
    /// The three regions, primary first.
    #[schema(required = false)]
    replicas: Vec<Replica>,
    /// How far it was read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    verified: Option<Verified>,
    /// What came of the last drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    drilled: Option<Drilled>,
    /// Whether a person wants it kept whatever the policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pin: Option<Pin>,
    /// The same backup, sealed again under another key: restoring this one restores that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    superseded_by: Option<SnapshotId>,
    /// Until when the days of the policy keep it; other rules, and a pin, may keep it for longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    days_end_at: Option<Timestamp>,
    /// Since when it can no longer be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expired_at: Option<Timestamp>,
    /// What a person should know.
    #[schema(required = false)]
    warnings: Vec<Warning>,
}

/// The specification's `BackupMetadata`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupMetadata {
    id: SnapshotId,
    /// The instant that it shows.
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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupPage {
    pub(crate) backups: Vec<BackupStatus>,
    /// Give this as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_cursor: Option<String>,
}

/// What a backup is asked for by.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRequest {
    /// What is read now: the name of the source or `all` for everything, or a class of data, a schema, a table, a bucket. What the rest
    /// held at the last backup is in the new one too.
    #[schema(min_length = 1, max_length = 200, pattern = "^[ -~\\u00a0-\\ud7ff]+$")]
    pub(crate) source: String,
}

/// Whether a backup is kept.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinRequest {
    /// Kept, whatever the policy says; or no longer.
    pub(crate) pinned: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, max_length = 500)]
    pub(crate) note: Option<String>,
}

/// What is inside a backup.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableList {
    id: SnapshotId,
    /// The tables, largest first.
    tables: Vec<TableContents>,
    /// How many there are: of very many the smallest are not listed.
    tables_total: u64,
    /// The buckets of Storage.
    buckets: Vec<BucketContents>,
    /// What became of each part of the source.
    coverage: Vec<Coverage>,
}

impl From<Contents> for TableList {
    fn from(contents: Contents) -> Self {
        let Contents { id, tables, tables_total, buckets, coverage } = contents;
        Self { id, tables, tables_total, buckets, coverage }
    }
}

impl BackupStatus {
    /// As it is seen at an instant.
    pub(crate) fn of(record: SnapshotRecord, retention: &RetentionPolicy, now: Timestamp) -> Self {
        let Progress { percent, tables_total, tables, rows, bytes, bytes_stored, blobs, segments } = record.progress;
        let metadata = record.summary.as_ref().and_then(|summary| metadata(&record, summary));
        let days_end_at = metadata.as_ref().map(|m| retention.days_end_at(m.timestamp));
        let stalled = !record.is_settled()
            && match record.phase {
                // Nobody beats while objects are on their way.
                Phase::Replicating => now.since(record.heartbeat_at) > STALLED_S * 1_000,
                _ => is_stalled(record.heartbeat_at, now),
            };
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
            requested_by: record.requested_by,
            cancelled: record.cancelled,
            phase: record.phase,
            heartbeat_at: record.heartbeat_at,
            stalled,
            tables,
            tables_total,
            rows,
            bytes,
            bytes_stored,
            segments,
            objects: blobs,
            full_reason: record.full_reason,
            hand_overs: record.hand_overs.count,
            replicas: record.replicas,
            verified: record.verified,
            drilled: record.drilled,
            pin: record.pin,
            superseded_by: record.superseded_by,
            days_end_at,
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

//! How far a backup is, as its record has it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far it is. Every number only grows within an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Percent, 0 to 100.
    pub percent: u8,
    /// Tables to be read.
    pub tables_total: u64,
    /// Tables read to the end.
    pub tables: u64,
    /// Rows of the snapshot so far.
    pub rows: u64,
    /// Bytes of rows of the snapshot so far, before compression.
    pub bytes: u64,
    /// Bytes stored in the primary vault.
    pub bytes_stored: u64,
    /// Of the objects of Storage.
    #[serde(flatten, default)]
    pub blobs: BlobCounts,
    /// Of all this, what each segment cost.
    #[serde(flatten, default)]
    pub segments: SegmentCounts,
}

/// Objects of Storage, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BlobCounts {
    /// Objects that the database lists.
    pub blobs_total: u64,
    /// Of those, how many were looked after.
    pub blobs: u64,
    /// Bytes that were read, because they were new or had changed.
    pub blob_bytes_copied: u64,
    /// Bytes that were not read, because earlier attempts had stored them.
    pub blob_bytes_reused: u64,
}

/// Segments, and their bytes of rows before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SegmentCounts {
    /// Read, because they were new or had changed.
    pub segments_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Not read, because earlier attempts had stored them.
    pub segments_reused: u64,
    /// Their bytes.
    pub bytes_reused: u64,
    /// Of those, read all the same and compared.
    pub segments_sampled: u64,
    /// Their bytes.
    pub bytes_sampled: u64,
    /// Bytes that were moved, sealed as they are, out of packs of which little is needed any more.
    pub bytes_repacked: u64,
}

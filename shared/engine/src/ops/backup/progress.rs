//! How far an attempt is. Counted by the copying, told by the heartbeat.

use super::reading::weight;
use crate::catalog::{BlobCounts, Phase, Progress, SegmentCounts};
use crate::digest::RowTally;
use crate::error::Error;
use crate::source::Description;
use crate::storage::StoredObject;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Percent of a backup that is done when all rows are stored in the primary vault.
const COPIED_PERCENT: u64 = 80;

/// The counters of one attempt.
#[derive(Default)]
pub(super) struct Counters {
    phase: AtomicU8,
    /// Bytes on the source's disk of all tables, and of all objects.
    disk_bytes_total: AtomicU64,
    /// Of the segments and objects that were read to the end.
    pub(super) disk_bytes: AtomicU64,
    tables_total: AtomicU64,
    pub(super) tables: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) bytes_stored: AtomicU64,
    pub(super) bytes_repacked: AtomicU64,
    pub(super) copied: Tallied,
    pub(super) reused: Tallied,
    pub(super) sampled: Tallied,
    pub(super) blobs_total: AtomicU64,
    pub(super) blobs: AtomicU64,
    pub(super) blobs_copied: Tallied,
    pub(super) blobs_reused: Tallied,
}

/// Segments or blobs, and their bytes.
#[derive(Default)]
pub(super) struct Tallied {
    segments: AtomicU64,
    bytes: AtomicU64,
}

impl Tallied {
    pub(super) fn add(&self, segment: RowTally) {
        self.add_bytes(segment.bytes);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        Counters::add(&self.segments, 1);
        Counters::add(&self.bytes, bytes);
    }

    pub(super) fn get(&self) -> (u64, u64) {
        (self.segments.load(Relaxed), self.bytes.load(Relaxed))
    }
}

/// What an object counts in the progress: nothing is free.
pub(super) fn blob_weight(object: &StoredObject) -> u64 {
    object.bytes.unwrap_or(0).max(1_024)
}

impl Counters {
    pub(super) fn begin_copying(&self, description: &Description, objects: &[StoredObject]) {
        self.tables_total.store(description.tables.len() as u64, Relaxed);
        let disk_bytes = description.tables.iter().map(weight).chain(objects.iter().map(blob_weight)).sum();
        self.disk_bytes_total.store(disk_bytes, Relaxed);
        self.enter(Phase::Copying);
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    pub(super) fn progress(&self) -> (Phase, Progress) {
        let phase = match self.phase.load(Relaxed) {
            0 => Phase::Preparing,
            1 => Phase::Copying,
            _ => Phase::Committing,
        };
        let (done, total) = (self.disk_bytes.load(Relaxed), self.disk_bytes_total.load(Relaxed));
        let copied = done.min(total).saturating_mul(COPIED_PERCENT).checked_div(total).unwrap_or(0);
        let percent = match phase {
            Phase::Preparing => 0,
            Phase::Copying => copied,
            _ => COPIED_PERCENT,
        };
        let (segments_copied, bytes_copied) = self.copied.get();
        let (segments_reused, bytes_reused) = self.reused.get();
        let (segments_sampled, bytes_sampled) = self.sampled.get();
        let progress = Progress {
            percent: u8::try_from(percent).unwrap_or(0),
            tables_total: self.tables_total.load(Relaxed),
            tables: self.tables.load(Relaxed),
            rows: self.rows.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            bytes_stored: self.bytes_stored.load(Relaxed),
            blobs: BlobCounts {
                blobs_total: self.blobs_total.load(Relaxed),
                blobs: self.blobs.load(Relaxed),
                blob_bytes_copied: self.blobs_copied.get().1,
                blob_bytes_reused: self.blobs_reused.get().1,
            },
            segments: SegmentCounts {
                segments_copied,
                bytes_copied,
                segments_reused,
                bytes_reused,
                segments_sampled,
                bytes_sampled,
                bytes_repacked: self.bytes_repacked.load(Relaxed),
            },
        };
        (phase, progress)
    }

    /// Bytes on the source's disk: of the segments and objects that are stored, and of all.
    pub(super) fn disk_bytes(&self) -> (u64, u64) {
        (self.disk_bytes.load(Relaxed), self.disk_bytes_total.load(Relaxed))
    }

    pub(super) fn out_of_time(&self, seconds: i64, then: &str) -> Error {
        let (_, p) = self.progress();
        Error::exhausted(format!(
            "the function's time is up after {seconds} s: {} of {} tables and {} MB of rows were read; {then}",
            p.tables,
            p.tables_total,
            p.bytes / 1_000_000
        ))
    }

    /// Everything is read anew: what was counted of segments counts no more.
    pub(super) fn begin_again(&self) {
        let counters = [&self.disk_bytes, &self.tables, &self.rows, &self.bytes];
        let tallied = [&self.copied, &self.reused, &self.sampled].map(|t| [&t.segments, &t.bytes]);
        for counter in counters.into_iter().chain(tallied.into_iter().flatten()) {
            counter.store(0, Relaxed);
        }
    }
}

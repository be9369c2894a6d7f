//! How far an attempt is. Counted by the copying, told by the heartbeat.

use super::reading::weight;
use crate::catalog::{Phase, Progress};
use crate::error::Error;
use crate::source::Description;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Percent of a backup that is done when all rows are stored in the primary vault.
const COPIED_PERCENT: u64 = 80;

/// The counters of one attempt.
#[derive(Default)]
pub(super) struct Counters {
    phase: AtomicU8,
    /// Bytes on the source's disk of all tables.
    disk_bytes_total: AtomicU64,
    /// Of the segments that were read to the end.
    pub(super) disk_bytes: AtomicU64,
    tables_total: AtomicU64,
    pub(super) tables: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) bytes_stored: AtomicU64,
}

impl Counters {
    pub(super) fn begin_copying(&self, description: &Description) {
        self.tables_total.store(description.tables.len() as u64, Relaxed);
        self.disk_bytes_total.store(description.tables.iter().map(weight).sum(), Relaxed);
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
        let progress = Progress {
            percent: u8::try_from(percent).unwrap_or(0),
            tables_total: self.tables_total.load(Relaxed),
            tables: self.tables.load(Relaxed),
            rows: self.rows.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            bytes_stored: self.bytes_stored.load(Relaxed),
        };
        (phase, progress)
    }

    pub(super) fn out_of_time(&self, seconds: i64) -> Error {
        let (_, p) = self.progress();
        Error::exhausted(format!(
            "the function's time is up after {seconds} s: {} of {} tables and {} MB of rows were read; give the function \
             more time or memory",
            p.tables,
            p.tables_total,
            p.bytes / 1_000_000
        ))
    }
}

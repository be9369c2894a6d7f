//! How far a restore is. Counted by the loading, told by whoever runs it.

use super::Taken;
use crate::source::RowStream;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use utoipa::ToSchema;

/// Percent of a restore that is done when all rows are loaded.
const LOADED_PERCENT: u64 = 75;

/// What is being done while the status is `in_progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestorePhase {
    /// Looking whether everything is there; nothing of the target is touched yet.
    #[default]
    Preparing,
    /// Waiting for a fresh backup of what is to be replaced.
    SafetyBackup,
    /// Rows are read, opened and loaded.
    Loading,
    /// Indexes, constraints and triggers are made.
    Completing,
    /// The target is read back and compared.
    Proving,
    /// Objects of Storage are put back.
    Objects,
    /// All is proven, and put in its place: it is not stopped any more.
    Finishing,
    /// Nothing more is done.
    Done,
}

impl RestorePhase {
    const ALL: [Self; 8] = [
        Self::Preparing,
        Self::SafetyBackup,
        Self::Loading,
        Self::Completing,
        Self::Proving,
        Self::Objects,
        Self::Finishing,
        Self::Done,
    ];

    fn percent(self) -> u64 {
        match self {
            Self::Preparing | Self::SafetyBackup | Self::Loading => 0,
            Self::Completing => LOADED_PERCENT,
            Self::Proving => 85,
            Self::Objects => 95,
            Self::Finishing => 99,
            Self::Done => 100,
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreProgress {
    /// Percent, 0 to 100.
    #[serde(rename = "progress")]
    pub percent: u8,
    /// Tables whose rows are wanted.
    pub tables_total: u64,
    /// Rows that are wanted.
    pub rows_total: u64,
    /// Of those, loaded.
    pub rows: u64,
    /// Bytes of rows that are wanted, before compression.
    pub bytes_total: u64,
    /// Of those, loaded.
    pub bytes: u64,
}

/// The counters of one run.
#[derive(Debug, Default)]
pub struct RestoreCounters {
    phase: AtomicU8,
    tables_total: AtomicU64,
    rows_total: AtomicU64,
    rows: AtomicU64,
    bytes_total: AtomicU64,
    bytes: AtomicU64,
}

impl RestoreCounters {
    pub(super) fn enter(&self, phase: RestorePhase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }

    /// What is wanted, and which of the segments were loaded by an earlier run.
    pub(super) fn begin(&self, taken: &[Taken], loaded: &HashSet<u64>) {
        let tally = super::tally(taken);
        let (mut rows, mut bytes) = (0, 0);
        for Taken { table, first_segment, .. } in taken {
            let numbered = (*first_segment..).zip(&table.segments);
            for (_, segment) in numbered.filter(|(number, _)| loaded.contains(number)) {
                rows += segment.tally.rows;
                bytes += segment.tally.bytes;
            }
        }
        self.tables_total.store(taken.len() as u64, Relaxed);
        self.rows_total.store(tally.rows, Relaxed);
        self.bytes_total.store(tally.bytes, Relaxed);
        self.rows.store(rows, Relaxed);
        self.bytes.store(bytes, Relaxed);
        self.enter(RestorePhase::Loading);
    }

    pub(super) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Relaxed);
    }

    /// Counts the bytes of rows as they are taken.
    pub(super) fn count_bytes(self: Arc<Self>, rows: RowStream) -> RowStream {
        Box::pin(rows.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                self.bytes.fetch_add(chunk.len() as u64, Relaxed);
            }
        }))
    }

    /// Whether it is not to be stopped any more.
    pub(super) fn is_finishing(&self) -> bool {
        self.phase.load(Relaxed) >= RestorePhase::Finishing as u8
    }

    /// How far it is.
    pub fn progress(&self) -> (RestorePhase, RestoreProgress) {
        let phase = RestorePhase::ALL[usize::from(self.phase.load(Relaxed)).min(RestorePhase::ALL.len() - 1)];
        let (bytes, bytes_total) = (self.bytes.load(Relaxed), self.bytes_total.load(Relaxed));
        let percent = match phase {
            RestorePhase::Loading => {
                bytes.min(bytes_total).saturating_mul(LOADED_PERCENT).checked_div(bytes_total).unwrap_or(0)
            }
            phase => phase.percent(),
        };
        let progress = RestoreProgress {
            percent: u8::try_from(percent).unwrap_or(0),
            tables_total: self.tables_total.load(Relaxed),
            rows_total: self.rows_total.load(Relaxed),
            rows: self.rows.load(Relaxed),
            bytes_total,
            bytes,
        };
        (phase, progress)
    }
}

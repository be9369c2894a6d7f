//! Reads a transaction snapshot by several sessions at once: largest tables first, each cut into runs of blocks.

use super::BackupSettings;
use super::packing::Packing;
use super::progress::Counters;
use crate::digest::{Fingerprint, RowTally};
use crate::envelope::SealKey;
use crate::error::{Error, Result, ResultExt};
use crate::keyring::Keyring;
use crate::manifest::TableManifest;
use crate::segment::{RowFormat, Segment, SegmentWriter};
use crate::source::{Capture, Description, Run, Table};
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A session that finds no work while another cuts a table looks again after this.
const WAIT: Duration = Duration::from_millis(2);

/// What a copy session does next: `table` is an index into the description.
enum Work {
    /// Cut a table into segments.
    Plan { table: usize },
    /// Copy one segment.
    Copy { table: usize, segment: usize, run: Option<Run>, fingerprint: Option<Fingerprint> },
}

/// The work that is left, and the segments that were made.
#[derive(Default)]
pub(super) struct Board {
    work: VecDeque<Work>,
    /// Plans being made: they will add work.
    planning: usize,
    segments: Vec<Vec<Option<Segment>>>,
    left: Vec<usize>,
}

/// What the sessions of an attempt share.
pub(super) struct Reading {
    pub(super) capture: Arc<dyn Capture>,
    pub(super) board: Mutex<Board>,
    pub(super) packing: Packing,
    pub(super) keyring: Arc<Keyring>,
    pub(super) key: SealKey,
    pub(super) settings: BackupSettings,
    pub(super) counters: Arc<Counters>,
}

impl Reading {
    /// Takes work off the board until there is none.
    pub(super) async fn session(self: Arc<Self>) -> Result<()> {
        let tables = &self.capture.description().tables;
        loop {
            let next = lock(&self.board).take();
            match next {
                Next::Done => return Ok(()),
                // Another session is cutting a table: there will be work.
                Next::Wait => tokio::time::sleep(WAIT).await,
                Next::Work(Work::Plan { table }) => {
                    let runs =
                        self.plan(&tables[table]).await.context(format!("fingerprint {}", tables[table].quoted()))?;
                    lock(&self.board).planned(table, runs);
                }
                Next::Work(Work::Copy { table, segment, run, fingerprint }) => {
                    let copied = self.copy(&tables[table], run, fingerprint).await;
                    let copied = copied.context(format!("copy {}", tables[table].quoted()))?;
                    let (segments, last) = lock(&self.board).copied(table, segment, copied);
                    Counters::add(&self.counters.disk_bytes, weight(&tables[table]) / segments);
                    Counters::add(&self.counters.tables, u64::from(last));
                }
            }
        }
    }

    async fn plan(&self, table: &Table) -> Result<Vec<(Option<Run>, Option<Fingerprint>)>> {
        if table.unplaced.is_some() {
            return Ok(vec![(None, None)]);
        }
        let prints = self.capture.fingerprints(table, self.settings.segment_blocks).await?;
        Ok(prints.into_iter().map(|(run, print)| (Some(run), Some(print))).collect())
    }

    async fn copy(&self, table: &Table, run: Option<Run>, fingerprint: Option<Fingerprint>) -> Result<Segment> {
        if fingerprint.is_some_and(|f| f.rows == 0) {
            let tally = RowTally::default();
            return Ok(Segment { run, fingerprint, tally, format: RowFormat::CopyText, extents: Vec::new() });
        }
        let mut rows = self.capture.copy(table, run).await?;
        let mut writer = SegmentWriter::new(&self.keyring, &self.key, self.settings.compression_level)?;
        let mut extents = Vec::new();
        while let Some(chunk) = rows.next().await {
            let chunk = chunk?;
            Counters::add(&self.counters.bytes, chunk.len() as u64);
            if let Some(extent) = writer.write(&chunk)? {
                extents.push(self.packing.add(&extent).await?);
            }
        }
        let (last, tally) = writer.finish()?;
        if let Some(extent) = last {
            extents.push(self.packing.add(&extent).await?);
        }
        if let Some(f) = fingerprint.filter(|f| f.rows != tally.rows) {
            return Err(Error::corrupt(format!(
                "the server counted {} rows in this run of blocks and sent {}; the source must be looked at",
                f.rows, tally.rows
            )));
        }
        Counters::add(&self.counters.rows, tally.rows);
        Ok(Segment { run, fingerprint, tally, format: RowFormat::CopyText, extents })
    }
}

/// What a table counts in the progress: nothing is free.
pub(super) fn weight(table: &Table) -> u64 {
    table.bytes_on_disk.max(8_192)
}

pub(super) fn lock(board: &Mutex<Board>) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Next {
    Work(Work),
    Wait,
    Done,
}

impl Board {
    pub(super) fn new(description: &Description) -> Self {
        let tables = description.tables.len();
        Self {
            work: (0..tables).map(|table| Work::Plan { table }).collect(),
            planning: 0,
            segments: vec![Vec::new(); tables],
            left: vec![0; tables],
        }
    }

    fn take(&mut self) -> Next {
        match self.work.pop_front() {
            Some(work) => {
                self.planning += usize::from(matches!(work, Work::Plan { .. }));
                Next::Work(work)
            }
            None if self.planning > 0 => Next::Wait,
            None => Next::Done,
        }
    }

    /// A table was cut: its segments come before other tables, so that the largest is read first.
    fn planned(&mut self, table: usize, runs: Vec<(Option<Run>, Option<Fingerprint>)>) {
        self.planning -= 1;
        self.segments[table] = vec![None; runs.len()];
        self.left[table] = runs.len();
        for (segment, (run, fingerprint)) in runs.into_iter().enumerate().rev() {
            self.work.push_front(Work::Copy { table, segment, run, fingerprint });
        }
    }

    /// A segment was copied. Gives the number of its table's segments, and whether it was the last of them.
    fn copied(&mut self, table: usize, segment: usize, copied: Segment) -> (u64, bool) {
        self.segments[table][segment] = Some(copied);
        self.left[table] -= 1;
        (self.segments[table].len() as u64, self.left[table] == 0)
    }

    pub(super) fn into_tables(self, description: &Description) -> Result<Vec<TableManifest>> {
        let tables = description.tables.iter().zip(self.segments);
        tables
            .map(|(table, segments)| {
                let whole = !segments.is_empty() && segments.iter().all(Option::is_some);
                if !whole {
                    return Err(Error::internal(format!("not every segment of {} was copied", table.quoted())));
                }
                let segments: Vec<Segment> = segments.into_iter().flatten().collect();
                let tally = segments.iter().fold(RowTally::default(), |sum, s| sum.plus(s.tally));
                Ok(TableManifest { table: table.clone(), tally, segments })
            })
            .collect()
    }
}

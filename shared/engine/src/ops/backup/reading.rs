//! Reads a transaction snapshot by several sessions at once: largest tables first, each cut into runs of blocks, of which
//! those that earlier attempts stored are not read again.

use super::BackupSettings;
use super::progress::Counters;
use super::treatment::Treatment;
use crate::digest::{Fingerprint, RowTally};
use crate::envelope::SealKey;
use crate::error::{Error, Result, ResultExt};
use crate::extent::Extent;
use crate::keyring::Keyring;
use crate::manifest::{Origin, TableManifest};
use crate::object::{ObjectRef, UsedPacks};
use crate::packing::Packing;
use crate::reuse::Reusable;
use crate::segment::{RowFormat, Segment, SegmentWriter};
use crate::source::{Capture, Run, RunPrint, Table};
use futures::StreamExt;
use std::collections::{BTreeMap, VecDeque};
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

/// What becomes of a run.
enum Planned {
    Copy(Option<Run>, Option<Fingerprint>),
    Reuse(Segment, Origin),
}

/// A segment of the snapshot.
#[derive(Clone, Debug)]
enum Made {
    /// Its extents lie in packs of this attempt.
    Copied(Segment),
    /// Its extents lie in packs of [`Reusable::packs`].
    Reused(Segment, Origin),
    /// As well, and it may have changed since: its table is not read this time.
    Kept(Segment, Option<Origin>),
}

impl Made {
    fn segment(&self) -> &Segment {
        match self {
            Self::Copied(segment) | Self::Reused(segment, _) | Self::Kept(segment, _) => segment,
        }
    }
}

/// The work that is left, and the segments that were made.
#[derive(Default)]
pub(super) struct Board {
    work: VecDeque<Work>,
    /// Plans being made: they will add work.
    planning: usize,
    segments: Vec<Vec<Option<Made>>>,
    left: Vec<usize>,
    /// Copied, and in no checkpoint yet: tables and segments.
    unlisted: Vec<(usize, usize)>,
}

/// What the sessions of an attempt share.
pub(super) struct Reading {
    pub(super) capture: Arc<dyn Capture>,
    pub(super) board: Mutex<Board>,
    pub(super) packing: Arc<Packing>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) key: Arc<SealKey>,
    pub(super) settings: BackupSettings,
    pub(super) counters: Arc<Counters>,
    pub(super) reusable: Reusable,
    /// What is done with each table.
    pub(super) treatments: Vec<Treatment>,
}

/// All tables of a snapshot, and where their rows lie.
#[derive(Default)]
pub(super) struct Read {
    pub(super) origins: Vec<Origin>,
    pub(super) packs: Vec<ObjectRef>,
    pub(super) tables: Vec<TableManifest>,
}

impl Read {
    /// Makes extents refer to this list of packs instead of another.
    pub(super) fn adopt(&mut self, extents: &mut [Extent], old: impl Fn(usize) -> ObjectRef) {
        if extents.is_empty() {
            return;
        }
        let mut used = UsedPacks::of(std::mem::take(&mut self.packs));
        renumber(&mut used, extents, old);
        self.packs = used.packs;
    }
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
                    self.planned(table, runs);
                }
                Next::Work(Work::Copy { table, segment, run, fingerprint }) => {
                    let copied = self.copy(&tables[table], run, fingerprint).await;
                    let copied = copied.context(format!("copy {}", tables[table].quoted()))?;
                    // A run without rows costs nothing.
                    if copied.tally.rows > 0 {
                        self.counters.copied.add(copied.tally);
                    }
                    let (segments, last) = lock(&self.board).copied(table, segment, copied);
                    Counters::add(&self.counters.disk_bytes, weight(&tables[table]) / segments);
                    Counters::add(&self.counters.tables, u64::from(last));
                }
            }
        }
    }

    /// Counts what is not read.
    pub(super) fn begin(&self) {
        let counters = &self.counters;
        for (table, treatment) in self.capture.description().tables.iter().zip(&self.treatments) {
            match treatment {
                Treatment::Read => continue,
                Treatment::Keep(kept) => {
                    for segment in kept.segments.iter().filter(|s| s.tally.rows > 0) {
                        counters.reused.add(segment.tally);
                        Counters::add(&counters.rows, segment.tally.rows);
                        Counters::add(&counters.bytes, segment.tally.bytes);
                    }
                }
                Treatment::Exclude(_) => {}
            }
            Counters::add(&counters.disk_bytes, weight(table));
            Counters::add(&counters.tables, 1);
        }
    }

    async fn plan(&self, table: &Table) -> Result<Vec<Planned>> {
        if table.unplaced.is_some() {
            return Ok(vec![Planned::Copy(None, None)]);
        }
        let prints = self.capture.fingerprints(table, self.settings.segment_blocks).await?;
        let planned = |print: &RunPrint| match self.reusable.find(table, print) {
            Some((segment, origin)) => Planned::Reuse(Segment { run: Some(print.run), ..segment.clone() }, *origin),
            None => Planned::Copy(Some(print.run), Some(print.fingerprint)),
        };
        Ok(prints.iter().map(planned).collect())
    }

    fn planned(&self, table: usize, runs: Vec<Planned>) {
        let segments = runs.len() as u64;
        let reused: Vec<RowTally> =
            runs.iter().filter_map(|p| if let Planned::Reuse(s, _) = p { Some(s.tally) } else { None }).collect();
        let counters = &self.counters;
        for tally in &reused {
            counters.reused.add(*tally);
            Counters::add(&counters.rows, tally.rows);
            Counters::add(&counters.bytes, tally.bytes);
        }
        let weight = weight(&self.capture.description().tables[table]);
        Counters::add(&counters.disk_bytes, weight / segments.max(1) * reused.len() as u64);
        Counters::add(&counters.tables, u64::from(reused.len() as u64 == segments));
        lock(&self.board).planned(table, runs);
    }

    /// Copies a run, in this attempt's packs.
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

    /// The segments that were not read, with their tables.
    pub(super) fn reused(&self) -> Vec<(usize, Segment)> {
        let board = lock(&self.board);
        let tables = board.segments.iter().enumerate();
        tables
            .flat_map(|(table, segments)| segments.iter().flatten().map(move |made| (table, made)))
            .filter_map(|(table, made)| match made {
                Made::Reused(segment, _) => Some((table, segment.clone())),
                Made::Copied(_) | Made::Kept(..) => None,
            })
            .collect()
    }

    /// The segments that were copied, whose packs are all stored, and that no checkpoint lists yet. From now on one does.
    pub(super) fn unlisted(&self, packs: &[(ObjectRef, bool)]) -> (Vec<ObjectRef>, Vec<TableManifest>) {
        let mut board = lock(&self.board);
        let is_stored = |segment: &Segment| {
            segment.extents.iter().all(|e| packs.get(e.pack as usize).is_some_and(|(_, stored)| *stored))
        };
        let (mut ready, mut later) = (BTreeMap::<usize, Vec<Segment>>::new(), Vec::new());
        for (table, segment) in std::mem::take(&mut board.unlisted) {
            match &board.segments[table][segment] {
                Some(Made::Copied(copied)) if is_stored(copied) => {
                    ready.entry(table).or_default().push(copied.clone());
                }
                _ => later.push((table, segment)),
            }
        }
        board.unlisted = later;
        drop(board);
        let tables = &self.capture.description().tables;
        let mut used = UsedPacks::default();
        let tables = ready.into_iter().map(|(table, mut segments)| {
            for segment in &mut segments {
                renumber(&mut used, &mut segment.extents, |n| packs[n].0);
            }
            TableManifest::new(tables[table].clone(), segments)
        });
        let tables = tables.collect();
        (used.packs, tables)
    }

    /// Everything, once all work is done and all packs are stored.
    pub(super) fn read(&self, own: Origin, packs: &[(ObjectRef, bool)]) -> Result<Read> {
        let made = std::mem::take(&mut lock(&self.board).segments);
        let mut origins = BTreeMap::from([(own.attempt, own)]);
        let mut used = UsedPacks::default();
        let mut tables = Vec::with_capacity(made.len());
        for ((table, made), treatment) in self.capture.description().tables.iter().zip(made).zip(&self.treatments) {
            if let Treatment::Exclude(class) = treatment {
                let excluded = Some(class.clone());
                tables.push(TableManifest { excluded, ..TableManifest::new(table.clone(), Vec::new()) });
                continue;
            }
            let taken_at = if let Treatment::Keep(kept) = treatment { Some(kept.taken_at) } else { None };
            if made.is_empty() || made.iter().any(Option::is_none) {
                return Err(Error::internal(format!("not every segment of {} was copied", table.quoted())));
            }
            let mut segments = Vec::with_capacity(made.len());
            for made in made.into_iter().flatten() {
                let mut segment = made.segment().clone();
                match made {
                    Made::Copied(_) => renumber(&mut used, &mut segment.extents, |n| packs[n].0),
                    Made::Reused(_, origin) => {
                        origins.insert(origin.attempt, origin);
                        renumber(&mut used, &mut segment.extents, |n| self.reusable.packs()[n]);
                    }
                    Made::Kept(_, origin) => {
                        origins.extend(origin.map(|o| (o.attempt, o)));
                        renumber(&mut used, &mut segment.extents, |n| self.reusable.packs()[n]);
                    }
                }
                segments.push(segment);
            }
            tables.push(TableManifest { taken_at, ..TableManifest::new(table.clone(), segments) });
        }
        Ok(Read { origins: origins.into_values().collect(), packs: used.packs, tables })
    }
}

/// Makes extents refer to a list of packs instead of another.
fn renumber(used: &mut UsedPacks, extents: &mut [Extent], old: impl Fn(usize) -> ObjectRef) {
    for extent in extents {
        extent.pack = used.place(old(extent.pack as usize));
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
    pub(super) fn new(treatments: &[Treatment]) -> Self {
        let mut board = Self {
            work: VecDeque::new(),
            planning: 0,
            segments: vec![Vec::new(); treatments.len()],
            left: vec![0; treatments.len()],
            unlisted: Vec::new(),
        };
        for (table, treatment) in treatments.iter().enumerate() {
            match treatment {
                Treatment::Read => board.work.push_back(Work::Plan { table }),
                Treatment::Keep(kept) => {
                    board.segments[table] = kept.with_origins().map(|(s, o)| Some(Made::Kept(s, o))).collect()
                }
                Treatment::Exclude(_) => {}
            }
        }
        board
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
    fn planned(&mut self, table: usize, runs: Vec<Planned>) {
        self.planning -= 1;
        self.segments[table] = vec![None; runs.len()];
        for (segment, planned) in runs.into_iter().enumerate().rev() {
            match planned {
                Planned::Reuse(reused, origin) => self.segments[table][segment] = Some(Made::Reused(reused, origin)),
                Planned::Copy(run, fingerprint) => {
                    self.left[table] += 1;
                    self.work.push_front(Work::Copy { table, segment, run, fingerprint });
                }
            }
        }
    }

    /// A segment was copied. Gives the number of its table's segments, and whether it was the last of them.
    fn copied(&mut self, table: usize, segment: usize, copied: Segment) -> (u64, bool) {
        self.segments[table][segment] = Some(Made::Copied(copied));
        self.unlisted.push((table, segment));
        self.left[table] -= 1;
        (self.segments[table].len() as u64, self.left[table] == 0)
    }
}

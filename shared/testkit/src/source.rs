//! A source in memory: tables whose rows are known, and can be written.

use crate::faults::FaultScript;
use crate::lock;
use crate::storage::MemoryStorage;
use bytes::Bytes;
use engine::digest::Fingerprint;
use engine::error::Result;
use engine::id::AttemptId;
use engine::source::{
    Capture, Coverage, CoverageState, Description, Lineage, RowStream, Run, RunPrint, Sequence, Server, Source, Table,
    TableKind,
};
use engine::storage::StoredObject;
use futures::stream;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

/// Rows of one block.
const BLOCK_ROWS: usize = 10;
/// Chunks end anywhere, also within a row.
const CHUNK_BYTES: usize = 37;

/// A source with tables of its own.
#[derive(Clone, Debug)]
pub struct MemorySource {
    database: Arc<Mutex<Database>>,
    storage: Option<MemoryStorage>,
    faults: FaultScript,
}

/// A row, and the transaction that wrote it.
type Row = (u64, String);

#[derive(Clone, Debug)]
struct Database {
    tables: BTreeMap<String, Vec<Row>>,
    next_transaction: u64,
    /// `None` for one that cannot remember.
    lineage: Option<BTreeSet<AttemptId>>,
}

impl MemorySource {
    /// Tables, each with its rows as `copy` text without line feeds. A block holds ten rows.
    pub fn new(tables: impl IntoIterator<Item = (String, Vec<String>)>, faults: FaultScript) -> Self {
        let rows = |rows: Vec<String>| rows.into_iter().map(|row| (3, row)).collect();
        let tables = tables.into_iter().map(|(name, text)| (name, rows(text))).collect();
        let database = Database { tables, next_transaction: 4, lineage: Some(BTreeSet::new()) };
        Self { database: Arc::new(Mutex::new(database)), storage: None, faults }
    }

    /// As the database of a project, which lists the objects of a Storage.
    #[must_use]
    pub fn with_storage(self, storage: &MemoryStorage) -> Self {
        Self { storage: Some(storage.clone()), ..self }
    }

    /// Another database with the same rows and the same past, as a copy of the disk is.
    #[must_use]
    pub fn copy_of_disk(&self) -> Self {
        Self { database: Arc::new(Mutex::new(lock(&self.database).clone())), ..self.clone() }
    }

    /// Writes a row version in the place of another, or behind the last one.
    pub fn write(&self, table: &str, place: usize, row: &str) {
        let mut database = lock(&self.database);
        let transaction = database.next_transaction;
        database.next_transaction += 1;
        let rows = database.tables.entry(table.to_owned()).or_default();
        match rows.get_mut(place) {
            Some(old) => *old = (transaction, row.to_owned()),
            None => rows.push((transaction, row.to_owned())),
        }
    }

    /// Changes a row as no database does: without a trace.
    pub fn tamper(&self, table: &str, place: usize, row: &str) {
        let mut database = lock(&self.database);
        if let Some(old) = database.tables.get_mut(table).and_then(|rows| rows.get_mut(place)) {
            row.clone_into(&mut old.1);
        }
    }

    /// Lets it remember no attempts.
    pub fn forget(&self) {
        lock(&self.database).lineage = None;
    }

    /// The attempts that it remembers.
    pub fn lineage(&self) -> BTreeSet<AttemptId> {
        lock(&self.database).lineage.clone().unwrap_or_default()
    }

    /// Its rows, by table, sorted.
    pub fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let sorted = |rows: &Vec<Row>| {
            let mut rows: Vec<String> = rows.iter().map(|(_, row)| row.clone()).collect();
            rows.sort();
            rows
        };
        lock(&self.database).tables.iter().map(|(name, rows)| (name.clone(), sorted(rows))).collect()
    }
}

impl Database {
    fn description(&self) -> Description {
        let table = |(number, (name, rows)): (usize, (&String, &Vec<Row>))| Table {
            schema: "public".to_owned(),
            name: name.clone(),
            kind: TableKind::Table,
            oid: 16_384 + number as u32,
            relfilenode: 16_384 + number as u32,
            columns: vec!["row".to_owned()],
            condition: None,
            definition: String::new(),
            blocks: rows.len().div_ceil(BLOCK_ROWS) as u32,
            bytes_on_disk: rows.iter().map(|(_, row)| row.len() as u64).sum(),
            unplaced: None,
            unsteady: None,
        };
        let server =
            Server { transaction_id: self.next_transaction, oldest_transaction_id: self.next_transaction, ..server() };
        Description {
            server,
            lineage: match &self.lineage {
                Some(known) => Lineage::Known(known.clone()),
                None => Lineage::Unknown("it cannot remember".to_owned()),
            },
            tables: self.tables.iter().enumerate().map(table).collect(),
            sequences: vec![Sequence {
                schema: "public".to_owned(),
                name: "s".to_owned(),
                last_value: 7,
                is_called: true,
            }],
            roles: Vec::new(),
            large_objects: Vec::new(),
            materialized_views: Vec::new(),
            stored_objects: None,
            coverage: vec![Coverage {
                part: "public".to_owned(),
                state: CoverageState::BackedUp,
                detail: String::new(),
            }],
            warnings: Vec::new(),
        }
    }
}

/// The server that sources in memory say they are.
pub fn server() -> Server {
    Server {
        product: "memory".to_owned(),
        version_num: 180_000,
        version: "18".to_owned(),
        system_identifier: "1".to_owned(),
        timeline: 1,
        database: "memory".to_owned(),
        database_oid: 5,
        encoding: "UTF8".to_owned(),
        block_bytes: 8_192,
        transaction_snapshot: "1:1:".to_owned(),
        transaction_id: 1,
        oldest_transaction_id: 1,
        wal_lsn: "0/1".to_owned(),
    }
}

#[async_trait::async_trait]
impl Source for MemorySource {
    async fn capture(&self) -> Result<Box<dyn Capture>> {
        let capture = || {
            let seen = lock(&self.database).clone();
            let stored_objects = self.storage.as_ref().map(|storage| storage.list().len() as u64);
            let description = Description { stored_objects, ..seen.description() };
            let objects = self.storage.as_ref().map(MemoryStorage::list).unwrap_or_default();
            Ok(Box::new(MemoryCapture { description, source: self.clone(), seen, objects }) as _)
        };
        self.faults.call("source", "capture", "", capture).await
    }
}

struct MemoryCapture {
    source: MemorySource,
    /// The database as the transaction snapshot sees it.
    seen: Database,
    /// What it lists of Storage.
    objects: Vec<StoredObject>,
    description: Description,
}

impl MemoryCapture {
    fn rows(&self, table: &Table, run: Option<Run>) -> Vec<Row> {
        let rows = self.seen.tables.get(&table.name).cloned().unwrap_or_default();
        let Some(run) = run else { return rows };
        let taken = run.blocks.map_or(usize::MAX, |b| b as usize * BLOCK_ROWS);
        rows.into_iter().skip(run.first_block as usize * BLOCK_ROWS).take(taken).collect()
    }

    fn print(&self, table: &Table, run: Run) -> RunPrint {
        let rows = self.rows(table, Some(run));
        let (mut hash, mut hash_inverse) = (0, 0);
        for (place, (transaction, _)) in rows.iter().enumerate() {
            let place = (run.first_block, place);
            hash ^= hashed((place, transaction));
            hash_inverse ^= hashed((place, !transaction));
        }
        let fingerprint = Fingerprint { rows: rows.len() as u64, hash, hash_inverse };
        RunPrint { run, fingerprint, newest_transaction_id: rows.iter().map(|(id, _)| *id).max().unwrap_or(0) }
    }
}

fn hashed(value: impl Hash) -> i64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish() as i64
}

#[async_trait::async_trait]
impl Capture for MemoryCapture {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn stored_objects(&self) -> Result<Vec<StoredObject>> {
        let objects = || Ok(self.objects.clone());
        self.source.faults.call("source", "stored_objects", "", objects).await
    }

    fn schema(&self) -> Bytes {
        Bytes::from_static(b"the schema")
    }

    async fn fingerprints(&self, table: &Table, blocks: u32) -> Result<Vec<RunPrint>> {
        let last = table.blocks.saturating_sub(1) / blocks * blocks;
        let run = |first_block: u32| Run { first_block, blocks: (first_block < last).then_some(blocks) };
        let prints = || Ok((0..=last).step_by(blocks as usize).map(|first| self.print(table, run(first))).collect());
        self.source.faults.call("source", "fingerprints", &table.name, prints).await
    }

    async fn remember(&self, attempt: AttemptId, keep: &BTreeSet<AttemptId>) -> Result<()> {
        let remember = || {
            if let Some(lineage) = &mut lock(&self.source.database).lineage {
                lineage.retain(|id| keep.contains(id));
                lineage.insert(attempt);
            }
            Ok(())
        };
        self.source.faults.call("source", "remember", attempt, remember).await
    }

    async fn copy(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        let text: String = self.rows(table, run).into_iter().flat_map(|(_, row)| [row, "\n".to_owned()]).collect();
        let chunks: Vec<Result<Bytes>> =
            text.as_bytes().chunks(CHUNK_BYTES).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        self.source.faults.call("source", "copy", &table.name, || Ok(Box::pin(stream::iter(chunks)) as RowStream)).await
    }

    async fn close(&self) -> Result<()> {
        self.source.faults.call("source", "close", "", || Ok(())).await
    }
}

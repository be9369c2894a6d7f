//! A source in memory: tables whose rows are known.

use crate::faults::FaultScript;
use bytes::Bytes;
use engine::digest::Fingerprint;
use engine::error::Result;
use engine::source::{
    Capture, Coverage, CoverageState, Description, RowStream, Run, Sequence, Server, Source, Table, TableKind,
};
use futures::stream;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one block.
const BLOCK_ROWS: usize = 10;
/// Chunks end anywhere, also within a row.
const CHUNK_BYTES: usize = 37;

/// A source with tables of its own.
#[derive(Clone, Debug)]
pub struct MemorySource {
    tables: Arc<BTreeMap<String, Vec<String>>>,
    faults: FaultScript,
}

impl MemorySource {
    /// Tables, each with its rows as `copy` text without line feeds. A block holds ten rows.
    pub fn new(tables: impl IntoIterator<Item = (String, Vec<String>)>, faults: FaultScript) -> Self {
        Self { tables: Arc::new(tables.into_iter().collect()), faults }
    }

    /// Its rows, by table, sorted.
    pub fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let sorted = |rows: &Vec<String>| {
            let mut rows = rows.clone();
            rows.sort();
            rows
        };
        self.tables.iter().map(|(name, rows)| (name.clone(), sorted(rows))).collect()
    }

    fn description(&self) -> Description {
        let table = |(number, (name, rows)): (usize, (&String, &Vec<String>))| Table {
            schema: "public".to_owned(),
            name: name.clone(),
            kind: TableKind::Table,
            oid: 16_384 + number as u32,
            relfilenode: 16_384 + number as u32,
            columns: vec!["row".to_owned()],
            definition: String::new(),
            blocks: rows.len().div_ceil(BLOCK_ROWS) as u32,
            bytes_on_disk: rows.iter().map(|r| r.len() as u64).sum(),
            unplaced: None,
        };
        Description {
            server: server(),
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
        wal_lsn: "0/1".to_owned(),
    }
}

#[async_trait::async_trait]
impl Source for MemorySource {
    async fn capture(&self) -> Result<Box<dyn Capture>> {
        let capture = MemoryCapture { source: self.clone(), description: self.description() };
        self.faults.call("source", "capture", "", || Ok(Box::new(capture) as _)).await
    }
}

struct MemoryCapture {
    source: MemorySource,
    description: Description,
}

impl MemoryCapture {
    fn rows(&self, table: &Table, run: Option<Run>) -> Vec<String> {
        let rows = self.source.tables.get(&table.name).cloned().unwrap_or_default();
        let Some(run) = run else { return rows };
        let taken = run.blocks.map_or(usize::MAX, |b| b as usize * BLOCK_ROWS);
        rows.into_iter().skip(run.first_block as usize * BLOCK_ROWS).take(taken).collect()
    }
}

#[async_trait::async_trait]
impl Capture for MemoryCapture {
    fn description(&self) -> &Description {
        &self.description
    }

    fn schema(&self) -> Bytes {
        Bytes::from_static(b"the schema")
    }

    async fn fingerprints(&self, table: &Table, blocks: u32) -> Result<Vec<(Run, Fingerprint)>> {
        let last = table.blocks.saturating_sub(1) / blocks * blocks;
        let fingerprint = |first_block: u32| {
            let run = Run { first_block, blocks: (first_block < last).then_some(blocks) };
            let rows = self.rows(table, Some(run)).len() as u64;
            (run, Fingerprint { rows, hash: rows as i64, hash_inverse: 0 })
        };
        let prints = || Ok((0..=last).step_by(blocks as usize).map(fingerprint).collect());
        self.source.faults.call("source", "fingerprints", &table.name, prints).await
    }

    async fn copy(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        let text: String = self.rows(table, run).into_iter().flat_map(|row| [row, "\n".to_owned()]).collect();
        let chunks: Vec<Result<Bytes>> =
            text.as_bytes().chunks(CHUNK_BYTES).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        self.source.faults.call("source", "copy", &table.name, || Ok(Box::pin(stream::iter(chunks)) as RowStream)).await
    }

    async fn close(&self) -> Result<()> {
        self.source.faults.call("source", "close", "", || Ok(())).await
    }
}

//! A target: an empty database that a snapshot is restored into.
//!
//! What the restore must remember is kept in the target itself, in the schema `backup_restore`, made in the transaction
//! that found the database empty and dropped at the end: which snapshot, how far, which segments. The rows of a batch of
//! segments and the note that they are there are one transaction, so an interrupted restore that is begun again adds each
//! row once.
//!
//! Order: roles, structure (one transaction), rows, large objects, sequences, then indexes, constraints, triggers and
//! policies, materialised views, statistics.

mod after;
mod before;

use crate::address::Address;
use crate::capture::copy_query;
use crate::clients::Clients;
use crate::session::{self, Pool, copy_out};
use crate::wire::{Wire, parsed};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::{RowStream, Run, Table, TableKind, quote_identifier};
use engine::target::{Batch, Loading, Outline, Target};
use futures::{StreamExt, stream};
use std::collections::HashSet;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

/// Blocks of a table that are read back at once.
const READ_BACK_BLOCKS: u32 = 4_096;

/// How a database is written.
#[derive(Clone, Debug)]
pub struct TargetSettings {
    /// Where it is.
    pub address: Address,
    /// `pg_restore`.
    pub clients: Clients,
    /// Sessions that load at once.
    pub sessions: usize,
}

/// An empty PostgreSQL database.
pub struct PgTarget {
    settings: TargetSettings,
}

impl PgTarget {
    /// Connects to nothing yet.
    pub fn new(settings: TargetSettings) -> Self {
        Self { settings }
    }
}

#[async_trait::async_trait]
impl Target for PgTarget {
    async fn begin(&self, outline: Outline) -> Result<Box<dyn Loading>> {
        let TargetSettings { address, clients, sessions } = self.settings.clone();
        let mut coordinator = session::connect(&address).await?;
        before::require_server(&mut coordinator, &outline, &clients).await?;
        let phase = before::take(&mut coordinator, &outline).await?;
        let archive = before::write_temporary(&outline.schema)?;
        let mut warnings = before::roles(&mut coordinator, &outline.roles).await?;
        if phase == Phase::Begun {
            before::structure(&mut coordinator, &clients, archive.path()).await?;
        }
        let rows = coordinator.query("select number from backup_restore.segment").await?;
        let loaded = rows.iter().map(|row| parsed(row, 0)).collect::<Result<HashSet<u64>>>()?;
        let mut loaders = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            let mut loader = session::connect(&address).await.context("open a loading session")?;
            // Rows and their note are one transaction: a crash loses both or none. The last commits wait for the disk.
            loader.query("set synchronous_commit = off").await?;
            loaders.push(loader);
        }
        warnings.sort_by(|a, b| a.message.cmp(&b.message));
        Ok(Box::new(PgLoading {
            address,
            clients,
            sessions,
            outline,
            archive,
            loaded,
            warnings,
            coordinator: Mutex::new(coordinator),
            pool: Pool::new(loaders),
        }))
    }
}

/// How far a restore is, as the target remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The database was found empty.
    Begun,
    /// The structure is there; rows are coming.
    Loading,
    /// All rows are there; the rest is being made.
    Completing,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Loading => "loading",
            Self::Completing => "completing",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let phases = [Self::Begun, Self::Loading, Self::Completing];
        phases.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            Error::unsupported(format!(
                "an interrupted restore of another version is in the phase `{text}`; empty the database and begin again"
            ))
        })
    }
}

async fn enter(coordinator: &mut Wire, phase: Phase) -> Result<()> {
    coordinator
        .query(&format!("update backup_restore.restore set phase = '{}'", phase.as_str()))
        .await
        .context("note the phase")?;
    Ok(())
}

struct PgLoading {
    address: Address,
    clients: Clients,
    sessions: usize,
    outline: Outline,
    archive: NamedTempFile,
    loaded: HashSet<u64>,
    warnings: Vec<Warning>,
    /// Holds the target's lock for as long as it lives.
    coordinator: Mutex<Wire>,
    pool: Arc<Pool>,
}

/// Where the rows of a table go: those of large objects wait in a table of ours.
fn destination(table: &Table) -> String {
    let name = match table.kind {
        TableKind::Table => table.quoted(),
        TableKind::LargeObjectPages => "backup_restore.large_object_page".to_owned(),
    };
    let columns = table.columns.iter().map(|c| quote_identifier(c)).collect::<Vec<_>>().join(", ");
    if columns.is_empty() { name } else { format!("{name} ({columns})") }
}

#[async_trait::async_trait]
impl Loading for PgLoading {
    fn loaded(&self) -> &HashSet<u64> {
        &self.loaded
    }

    async fn load(&self, batch: &Batch, mut rows: RowStream) -> Result<u64> {
        let Some(first) = rows.next().await.transpose()? else {
            return Ok(0);
        };
        let mut rows: RowStream = Box::pin(stream::iter([Ok(first)]).chain(rows));
        let mut lent = self.pool.lend().await?;
        let wire = lent.wire()?;
        let options = begin(wire, batch).await?;
        let begun = wire.copy_in(&format!("copy {} from stdin{options}", destination(&batch.table))).await;
        let copied = match begun {
            Ok(()) => feed(wire, &mut rows).await,
            Err(e) => Err(e),
        };
        match copied {
            Ok(count) => {
                let segments = batch.segments.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                let note = format!(
                    "insert into backup_restore.segment (number) select unnest(array[{segments}]::bigint[]); commit"
                );
                wire.query(&note).await.context("note the segments")?;
                Ok(count)
            }
            Err(e) => {
                if wire.in_step {
                    wire.query("rollback").await?;
                }
                Err(e)
            }
        }
    }

    async fn complete(&self) -> Result<Vec<Warning>> {
        let mut coordinator = self.coordinator.lock().await;
        let mut warnings = self.warnings.clone();
        after::complete(self, &mut coordinator, &mut warnings).await?;
        Ok(warnings)
    }

    async fn runs(&self, table: &Table) -> Result<Vec<Option<Run>>> {
        if table.unplaced.is_some() {
            return Ok(vec![None]);
        }
        let name = crate::capture::literal(&table.quoted());
        let query = format!("select pg_relation_size({name}::regclass, 'main') / current_setting('block_size')::int");
        let rows = self.coordinator.lock().await.query(&query).await?;
        let blocks: u32 =
            parsed(rows.first().ok_or_else(|| Error::internal("the target did not tell a table's size"))?, 0)?;
        let last = blocks.saturating_sub(1) / READ_BACK_BLOCKS * READ_BACK_BLOCKS;
        let starts = (0..=last).step_by(READ_BACK_BLOCKS as usize);
        Ok(starts
            .map(|first_block| Some(Run { first_block, blocks: (first_block < last).then_some(READ_BACK_BLOCKS) }))
            .collect())
    }

    async fn read_back(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        let lent = self.pool.lend().await?;
        copy_out(lent, &copy_query(table, run)).await
    }

    async fn finish(&self) -> Result<()> {
        for wire in self.pool.drain() {
            wire.end().await;
        }
        let mut coordinator = self.coordinator.lock().await;
        // This commit waits for the disk, and with it everything that was written before it.
        coordinator
            .query("set synchronous_commit = on; drop schema backup_restore cascade")
            .await
            .context("remove the restore's own schema")?;
        Ok(())
    }
}

/// Begins the transaction of a batch. Gives what `copy` may be told: rows of a table that was emptied in the same transaction
/// are frozen at once, so that neither an index nor the proof has to write every page again.
async fn begin(wire: &mut Wire, batch: &Batch) -> Result<&'static str> {
    wire.query("begin").await?;
    if !batch.whole || batch.table.kind != TableKind::Table {
        return Ok("");
    }
    match wire.query(&format!("truncate only {}", batch.table.quoted())).await {
        Ok(_) => Ok(" with (freeze)"),
        // Who may insert rows may not always empty the table: then without.
        Err(e) if e.kind() == ErrorKind::Denied => {
            wire.query("rollback").await?;
            wire.query("begin").await?;
            Ok("")
        }
        Err(e) => Err(e),
    }
}

/// Sends rows until their end; calls the copy off when they end in an error.
async fn feed(wire: &mut Wire, rows: &mut RowStream) -> Result<u64> {
    while let Some(chunk) = rows.next().await {
        match chunk {
            Ok(chunk) => wire.copy_rows(&chunk).await?,
            Err(e) => {
                wire.copy_off().await?;
                return Err(e);
            }
        }
    }
    wire.copy_end().await
}

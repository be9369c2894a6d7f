//! A target: an empty database that a snapshot is restored into; or one in use, of which schemas are replaced ([`replace`]).
//!
//! What the restore must remember is kept in the target itself, in the schema `backup_restore`, made in the transaction
//! that found the database empty and dropped at the end: which snapshot, how far, which segments. The rows of a batch of
//! segments and the note that they are there are one transaction, so an interrupted restore that is begun again adds each
//! row once. The same holds for each object of the schema.
//!
//! Order: roles, structure, rows, large objects, sequences, keys and indexes, materialised views, statistics, foreign keys,
//! triggers and policies, owners, privileges.

mod choice;
mod project;
mod plan;
mod rights;
mod make;
mod before;
mod after;
mod replace;

use crate::address::Address;
use crate::archive;
use crate::capture::copy_query;
use crate::clients::{Client, Clients};
use crate::session::{self, Pool, copy_out};
use crate::wire::{Wire, parsed, text};
use choice::Choice;
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::{RowStream, Run, Table, TableKind, quote_identifier};
use engine::target::{Batch, Loading, Outline, Standing, Target};
use futures::{StreamExt, stream};
use make::{Making, Sessions};
use plan::Plan;
use project::Managed;
use rights::Builder;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Blocks of a table that are read back at once.
const READ_BACK_BLOCKS: u32 = 4_096;

/// How a database is written.
#[derive(Clone, Debug)]
pub struct TargetSettings {
    /// Where it is.
    pub address: Address,
    /// `pg_dump`, which reads the target's schema back.
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
    async fn inspect(&self, outline: &Outline) -> Result<Standing> {
        let mut wire = session::connect(&self.settings.address).await?;
        before::require_server(&mut wire, outline, &self.settings.clients).await?;
        let server = crate::describe::server(&mut wire).await?;
        let is_project = crate::project::is_project(&mut wire).await?;
        let in_use = before::is_in_use(&mut wire, &outline.tables, is_project).await?;
        let mut replaced = None;
        if in_use && outline.replace {
            match replace::check(&mut wire, outline, is_project).await {
                Err(e) if e.kind() == ErrorKind::Conflict => replaced = Some(e.to_string()),
                checked => checked?,
            }
        }
        wire.end().await;
        Ok(Standing {
            system_identifier: server.system_identifier,
            database_oid: server.database_oid,
            in_use,
            replaced,
        })
    }

    async fn begin(&self, outline: Outline) -> Result<Box<dyn Loading>> {
        if outline.replace {
            let standing = self.inspect(&outline).await?;
            if let Some(replaced) = standing.replaced {
                return Err(Error::conflict(replaced));
            }
            if standing.in_use {
                return replace::begin(&self.settings, outline).await;
            }
        }
        let TargetSettings { address, clients, sessions } = self.settings.clone();
        let mut restorer = session::connect(&address).await?;
        let client = before::require_server(&mut restorer, &outline, &clients).await?;
        let mut choice = Choice::new(archive::contents(&outline.schema)?, &outline)?;
        let found = before::lock(&mut restorer, &outline).await?;
        let made = match found.phase {
            Some(_) => make::made(&mut restorer).await?,
            None => HashSet::new(),
        };
        let managed = match found.is_project {
            true => project::Project::read(&mut restorer).await?.narrow(&mut choice, &outline.tables, &made)?,
            false => Managed::default(),
        };
        let plan = Plan::new(std::mem::take(&mut choice.entries), &managed.entries);
        before::require_extensions(&mut restorer, plan.extensions()).await?;
        let phase = match found.phase {
            Some(phase) => phase,
            None => {
                before::require_empty(&mut restorer, found.is_project).await?;
                project::require_empty(&mut restorer, &managed).await?;
                before::take(&mut restorer, &outline, found.is_project).await?
            }
        };
        let mut warnings = before::roles(&mut restorer, &outline.roles).await?;
        warnings.sort_by(|a, b| a.message.cmp(&b.message));
        warnings.append(&mut choice.warnings);
        restorer.query(make::MAKING).await?;
        let rows = restorer.query("select spcname from pg_tablespace").await?;
        let there = rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<HashSet<_>>>()?;
        let tablespaces = there.intersection(&plan.tablespaces()).cloned().collect();
        let builder = rights::builder(&mut restorer, &address, &tablespaces).await?;
        let mut builders = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            let mut wire = session::connect(&builder.address).await.context("open a session that builds")?;
            wire.query(make::MAKING).await?;
            builders.push(wire);
        }
        let rows = restorer.query("select number from backup_restore.segment").await?;
        let loaded = rows.iter().map(|row| parsed(row, 0)).collect::<Result<HashSet<u64>>>()?;
        let loading = PgLoading {
            address,
            client,
            sessions,
            outline,
            choice,
            managed,
            is_project: found.is_project,
            plan,
            builder,
            tablespaces,
            phase,
            made: made.into(),
            left: std::sync::Mutex::default(),
            unchecked: std::sync::Mutex::default(),
            loaded,
            warnings,
            restorer: Mutex::new(restorer),
            builders: Pool::new(builders),
            readers: Mutex::new(None),
        };
        if phase == Phase::Begun {
            loading.making().in_order(&loading.plan.before).await?;
            let mut restorer = loading.restorer.lock().await;
            rights::open_extension_tables(&mut restorer, &loading.builder).await?;
            enter(&mut restorer, Phase::Loading).await?;
        } else {
            loading.making().find_left_out(&loading.plan.before);
        }
        Ok(Box::new(loading))
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
    /// All that the builder makes is there; everything is being given its owner, and the builder may do nothing more with it.
    Giving,
    /// Everything is there and was read back.
    Proven,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Loading => "loading",
            Self::Completing => "completing",
            Self::Giving => "giving",
            Self::Proven => "proven",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let phases = [Self::Begun, Self::Loading, Self::Completing, Self::Giving, Self::Proven];
        phases.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            Error::unsupported(format!(
                "an interrupted restore of another version is in the phase `{text}`; empty the database and begin again"
            ))
        })
    }
}

async fn enter(restorer: &mut Wire, phase: Phase) -> Result<()> {
    restorer
        .query(&format!("update backup_restore.restore set phase = '{}'", phase.as_str()))
        .await
        .context("note the phase")?;
    Ok(())
}

struct PgLoading {
    address: Address,
    client: Client,
    sessions: usize,
    outline: Outline,
    choice: Choice,
    managed: Managed,
    is_project: bool,
    plan: Plan,
    builder: Builder,
    tablespaces: HashSet<String>,
    /// How far it was when it began or was taken up.
    phase: Phase,
    made: std::sync::Mutex<HashSet<u32>>,
    left: std::sync::Mutex<BTreeMap<u32, String>>,
    unchecked: std::sync::Mutex<BTreeMap<u32, String>>,
    loaded: HashSet<u64>,
    warnings: Vec<Warning>,
    /// Holds the target's lock for as long as it lives.
    restorer: Mutex<Wire>,
    builders: Arc<Pool>,
    /// Once it is complete.
    readers: Mutex<Option<Arc<Pool>>>,
}

/// The pages that came, as they are in the large objects now. Only a superuser may read those page by page.
const PAGES_READ_BACK: &str = "copy (
    select p.loid, p.pageno, lo_get(p.loid, p.pageno::bigint * (current_setting('block_size')::int / 4), length(p.data))
    from backup_restore.large_object_page as p
) to stdout";

impl PgLoading {
    fn reads_by_page(&self, table: &Table) -> bool {
        table.kind == TableKind::LargeObjectPages && self.builder.role.is_none()
    }

    fn making(&self) -> Making<'_> {
        Making {
            sessions: Sessions::Many {
                restorer: &self.restorer,
                builders: &self.builders,
                separate: self.builder.role.is_some(),
            },
            tablespaces: &self.tablespaces,
            done: &self.made,
            left: &self.left,
            doubtful: &self.choice.comes.doubtful,
            unchecked: &self.unchecked,
        }
    }
}

/// Where the rows of a table go: those of large objects wait in a table of ours.
fn destination(table: &Table) -> String {
    let name = match table.kind {
        TableKind::Table | TableKind::ExtensionTable => table.quoted(),
        TableKind::LargeObjectPages => "backup_restore.large_object_page".to_owned(),
    };
    let columns = table.columns.iter().map(|c| quote_identifier(c)).collect::<Vec<_>>().join(", ");
    if columns.is_empty() { name } else { format!("{name} ({columns})") }
}

#[async_trait::async_trait]
impl Loading for PgLoading {
    fn takes(&self, table: &Table) -> bool {
        self.choice.takes(table) && !self.managed.keeps(table)
    }

    fn loaded(&self) -> &HashSet<u64> {
        &self.loaded
    }

    async fn load(&self, batch: &Batch, mut rows: RowStream) -> Result<u64> {
        let Some(first) = rows.next().await.transpose()? else {
            return Ok(0);
        };
        let mut rows: RowStream = Box::pin(stream::iter([Ok(first)]).chain(rows));
        let mut lent = self.builders.lend().await?;
        let wire = lent.wire()?;
        let options = begin(wire, batch, self.managed.loads(&batch.table)).await?;
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
        let mut warnings = self.warnings.clone();
        after::complete(self, &mut warnings).await?;
        // From here on everything has its owner, and the builder may read nothing any more.
        for wire in self.builders.drain() {
            wire.end().await;
        }
        let mut readers = Vec::with_capacity(self.sessions);
        for _ in 0..self.sessions {
            readers.push(session::connect(&self.address).await.context("open a session that reads back")?);
        }
        *self.readers.lock().await = Some(Pool::new(readers));
        Ok(warnings)
    }

    async fn runs(&self, table: &Table) -> Result<Vec<Option<Run>>> {
        if table.unplaced.is_some() || self.reads_by_page(table) {
            return Ok(vec![None]);
        }
        runs_of(&mut *self.restorer.lock().await, table).await
    }

    async fn read_back(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        let readers = self.readers.lock().await.clone();
        let readers = readers.ok_or_else(|| Error::internal("a restore was read back before it was complete"))?;
        let lent = readers.lend().await?;
        let query = if self.reads_by_page(table) { PAGES_READ_BACK.to_owned() } else { copy_query(table, run) };
        copy_out(lent, &query).await
    }

    fn is_proven(&self) -> bool {
        self.phase == Phase::Proven
    }

    async fn note_proven(&self) -> Result<()> {
        enter(&mut *self.restorer.lock().await, Phase::Proven).await
    }

    async fn finish(&self) -> Result<Vec<Warning>> {
        for wire in self.builders.drain() {
            wire.end().await;
        }
        if let Some(readers) = self.readers.lock().await.take() {
            for wire in readers.drain() {
                wire.end().await;
            }
        }
        let mut restorer = self.restorer.lock().await;
        rights::dismiss(&mut restorer, &self.builder).await?;
        // This commit waits for the disk, and with it everything that was written before it.
        restorer
            .query("set synchronous_commit = on; drop schema backup_restore cascade")
            .await
            .context("remove the restore's own schema")?;
        Ok(Vec::new())
    }
}

/// The runs by which a heap is read back.
async fn runs_of(wire: &mut Wire, table: &Table) -> Result<Vec<Option<Run>>> {
    let name = crate::capture::literal(&table.quoted());
    let query = format!("select pg_relation_size({name}::regclass, 'main') / current_setting('block_size')::int");
    let rows = wire.query(&query).await?;
    let blocks: u32 =
        parsed(rows.first().ok_or_else(|| Error::internal("the target did not tell a table's size"))?, 0)?;
    let last = blocks.saturating_sub(1) / READ_BACK_BLOCKS * READ_BACK_BLOCKS;
    let starts = (0..=last).step_by(READ_BACK_BLOCKS as usize);
    Ok(starts
        .map(|first_block| Some(Run { first_block, blocks: (first_block < last).then_some(READ_BACK_BLOCKS) }))
        .collect())
}

/// Begins the transaction of a batch. Gives what `copy` may be told: rows of a table that was emptied in the same transaction
/// are frozen at once, so that neither an index nor the proof has to write every page again.
async fn begin(wire: &mut Wire, batch: &Batch, is_managed: bool) -> Result<&'static str> {
    wire.query("begin").await?;
    if is_managed {
        // Its triggers and foreign keys are there before its rows.
        let replica = wire.query("set local session_replication_role = replica").await;
        if let Err(e) = replica {
            wire.query("rollback").await?;
            return Err(e.context("hold back the triggers of the project's own tables"));
        }
        return Ok("");
    }
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

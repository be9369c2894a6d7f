//! A capture: one exported transaction snapshot, held by a coordinator session and imported by the copy sessions.
//!
//! Order: snapshot, schema, locks, then a check that no table was truncated or rewritten since the snapshot (both show as
//! an empty table to it), then everything else.
//!
//! Why so: whoever waits for an exclusive lock on a table makes everybody who comes later wait, those who would only read
//! included. If we held a lock and then asked for another one on the same table in another session, a migration that came
//! in between would wait for the first and block the second, without end. So every session takes all its locks at the
//! beginning, the copy sessions without waiting; if one cannot, all of it is given up and begun anew.

use crate::address::Address;
use crate::clients::{Client, Clients};
use crate::describe::{self, some_of};
use crate::project;
use crate::session::{self, Pool, copy_out};
use crate::wire::{Wire, parsed, text};
use bytes::Bytes;
use engine::digest::Fingerprint;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::id::AttemptId;
use engine::limits::SCHEMA_BYTES_MAX;
use engine::source::{Capture, Description, RowStream, Run, RunPrint, Source, Table, TableKind, quote_identifier};
use engine::storage::StoredObject;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Makes the role that a backup needs.
const ROLE_SCRIPT: &str = "infra/sql/backup_role.sql";
/// Locks are asked for in statements of so many tables.
const LOCKS_AT_ONCE: usize = 500;
/// When a table was rewritten between the snapshot and the lock, a new snapshot is taken, so often.
const SNAPSHOT_TRIES: usize = 5;

/// How a database is read.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Where it is.
    pub address: Address,
    /// `pg_dump`.
    pub clients: Clients,
    /// Copy sessions.
    pub sessions: usize,
    /// How long a lock may be waited for.
    pub lock_timeout: Duration,
    /// Whose backups these are, of all that the database remembers: no other's are forgotten.
    pub owner: String,
}

/// A PostgreSQL database.
pub struct PgSource {
    settings: SourceSettings,
}

impl PgSource {
    /// Connects to nothing yet.
    pub fn new(settings: SourceSettings) -> Self {
        Self { settings }
    }

    async fn attempt(&self) -> Result<PgCapture> {
        let SourceSettings { address, clients, sessions, .. } = &self.settings;
        let mut coordinator = session::connect(address).await?;
        describe::require_version(&coordinator)?;
        let said = describe::version_said(&coordinator);
        let client = clients.for_server(describe::major_of(said), said).await?;
        let mut copiers = Vec::with_capacity(*sessions);
        for _ in 0..*sessions {
            copiers.push(session::connect(address).await.context("open a copy session")?);
        }
        if let Some(copier) = copiers.first_mut() {
            session::require_own_session(&mut coordinator, copier).await?;
        }
        coordinator.query("begin transaction isolation level repeatable read read only").await?;
        let exported =
            coordinator.query("select pg_export_snapshot()").await.context("export the transaction snapshot")?;
        let snapshot =
            text(exported.first().ok_or_else(|| Error::internal("no transaction snapshot was exported"))?, 0)?
                .to_owned();
        let server = describe::server(&mut coordinator).await?;
        let mut tables = describe::tables(&mut coordinator).await?;
        if let Err(e) = probe_locks(&mut coordinator, &tables, self.settings.lock_timeout).await {
            return Err(match copiers.first_mut() {
                Some(other) => blockers(e, other, &tables, self.settings.lock_timeout).await,
                None => e,
            });
        }
        let schema = self.schema(&client, &snapshot).await?;
        lock(&mut coordinator, &tables, "").await.map_err(moved)?;
        for copier in &mut copiers {
            copier.query("begin transaction isolation level repeatable read read only").await?;
            let import = format!("set transaction snapshot {}", literal(&snapshot));
            copier.query(&import).await.context("import the transaction snapshot")?;
            lock(copier, &tables, " nowait").await.map_err(moved)?;
        }
        describe::measure(&mut coordinator, &mut tables).await?;
        let description = describe::rest(&mut coordinator, server, tables).await?;
        Ok(PgCapture {
            schema,
            description,
            coordinator: Mutex::new(Some(coordinator)),
            pool: Pool::new(copiers),
            address: address.clone(),
            owner: self.settings.owner.clone(),
        })
    }

    /// The schema, as the transaction snapshot sees it. `pg_dump` holds locks of its own until it has ended.
    async fn schema(&self, client: &Client, snapshot: &str) -> Result<Bytes> {
        let arguments = [
            "--format=custom".to_owned(),
            "--schema-only".to_owned(),
            "--compress=0".to_owned(),
            "--exclude-schema=backup_restore".to_owned(),
            "--exclude-schema=backup_lineage".to_owned(),
            format!("--lock-wait-timeout={}", self.settings.lock_timeout.as_millis()),
            format!("--snapshot={snapshot}"),
        ];
        let dumped = client.dump(&self.settings.address, &arguments, SCHEMA_BYTES_MAX).await;
        dumped.context("read the schema")
    }
}

#[async_trait::async_trait]
impl Source for PgSource {
    async fn capture(&self) -> Result<Box<dyn Capture>> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt().await {
                Ok(capture) => return Ok(Box::new(capture)),
                Err(e) if e.kind() == ErrorKind::Conflict && tries < SNAPSHOT_TRIES => {
                    tracing::info!(tries, reason = %e, "taking another transaction snapshot");
                }
                Err(e) if e.kind() == ErrorKind::Denied && !e.to_string().contains(ROLE_SCRIPT) => {
                    return Err(Error::denied(format!("{e}; grant the role what {ROLE_SCRIPT} grants")));
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// Locks the tables against everything but reading and writing rows, in the order of their ids.
async fn lock(wire: &mut Wire, tables: &[Table], nowait: &str) -> Result<()> {
    let names: Vec<String> =
        tables.iter().filter(|t| t.kind != TableKind::LargeObjectPages).map(Table::quoted).collect();
    for some in names.chunks(LOCKS_AT_ONCE) {
        let only = some.iter().map(|name| format!("only {name}")).collect::<Vec<_>>().join(", ");
        wire.query(&format!("lock table {only} in access share mode{nowait}")).await?;
    }
    Ok(())
}

/// Waits, as long as may be, until nobody holds a table exclusively; holds nothing afterwards.
async fn probe_locks(coordinator: &mut Wire, tables: &[Table], timeout: Duration) -> Result<()> {
    let begin = format!("set local lock_timeout = {}; savepoint probe", timeout.as_millis());
    coordinator.query(&begin).await?;
    lock(coordinator, tables, "").await?;
    coordinator.query("rollback to savepoint probe; release savepoint probe").await?;
    Ok(())
}

/// A lock that cannot be had after the probe, or a table that is gone: somebody changes the schema at this very moment.
fn moved(e: Error) -> Error {
    match e.kind() {
        ErrorKind::Unavailable | ErrorKind::Invalid => {
            Error::conflict(format!("a table was changed by somebody else while the backup began: {e}"))
        }
        _ => e,
    }
}

/// Says which tables stayed locked, and who locks them.
async fn blockers(e: Error, other: &mut Wire, tables: &[Table], timeout: Duration) -> Error {
    if e.kind() != ErrorKind::Unavailable {
        return moved(e);
    }
    let oids = tables.iter().map(|t| t.oid.to_string()).collect::<Vec<_>>().join(", ");
    let asked = other
        .query(&format!(
            "select l.relation, l.pid from pg_locks as l
            where l.granted and l.mode = 'AccessExclusiveLock' and l.relation = any (array[{oids}]::oid[])
                and l.database = (select d.oid from pg_database as d where d.datname = current_database())"
        ))
        .await;
    let mut held = Vec::new();
    for row in asked.unwrap_or_default() {
        let table = parsed::<u32>(&row, 0).ok().and_then(|oid| tables.iter().find(|t| t.oid == oid));
        if let (Some(table), Ok(pid)) = (table, text(&row, 1)) {
            held.push(format!("{} by process {pid}", table.quoted()));
        }
    }
    let held = if held.is_empty() { "by somebody who has ended since".to_owned() } else { some_of(&held) };
    Error::unavailable(format!("a table stayed locked for {} s: {held}; {e}", timeout.as_secs()))
}

/// A text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text).trim_start().to_owned()
}

struct PgCapture {
    schema: Bytes,
    description: Description,
    coordinator: Mutex<Option<Wire>>,
    pool: Arc<Pool>,
    address: Address,
    owner: String,
}

#[async_trait::async_trait]
impl Capture for PgCapture {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn stored_objects(&self) -> Result<Vec<StoredObject>> {
        project::stored_objects(self.pool.lend().await?.wire()?).await
    }

    fn schema(&self) -> Bytes {
        self.schema.clone()
    }

    async fn fingerprints(&self, table: &Table, blocks: u32) -> Result<Vec<RunPrint>> {
        let rows = self.pool.lend().await?.query(&fingerprint_query(table, blocks)).await?;
        let print = |row| -> Result<RunPrint> {
            let (first_block, last): (u32, bool) = (parsed(row, 0)?, text(row, 1)? == "t");
            let fingerprint =
                Fingerprint { rows: parsed(row, 2)?, hash: parsed(row, 3)?, hash_inverse: parsed(row, 4)? };
            let newest_transaction_id = match fingerprint.rows {
                0 => 0,
                _ => newest(self.description.server.transaction_id, parsed(row, 5)?, parsed(row, 6)?),
            };
            Ok(RunPrint {
                run: Run { first_block, blocks: (!last).then_some(blocks) },
                fingerprint,
                newest_transaction_id,
            })
        };
        rows.iter().map(print).collect()
    }

    async fn remember(&self, attempt: AttemptId, keep: &BTreeSet<AttemptId>) -> Result<()> {
        let mut wire = session::connect(&self.address).await.context("open a session for the lineage")?;
        let owner = literal(&self.owner);
        let keep: Vec<String> = keep.iter().chain([&attempt]).map(|id| literal(&id.to_string())).collect();
        // The commit is on the server's disk before its answer; a standby that has not heard of it yet may be promoted, and
        // then does not remember, which is right.
        let statements = format!(
            "begin transaction read write;
            set local synchronous_commit = local;
            set local lock_timeout = '10s';
            delete from backup_lineage.attempt where owner = {owner} and id <> all (array[{}]::uuid[]);
            insert into backup_lineage.attempt (id, owner) values ({}, {owner}) on conflict (id) do nothing;
            commit",
            keep.join(", "),
            literal(&attempt.to_string())
        );
        wire.query(&statements).await.context("write to backup_lineage.attempt")?;
        wire.end().await;
        Ok(())
    }

    async fn copy(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        let lent = self.pool.lend().await?;
        copy_out(lent, &copy_query(table, run)).await
    }

    async fn close(&self) -> Result<()> {
        let coordinator = self.coordinator.lock().await.take();
        let mut coordinator = coordinator.ok_or_else(|| Error::internal("the transaction snapshot was ended twice"))?;
        for wire in self.pool.drain() {
            wire.end().await;
        }
        // The locks were held until here, or nothing that was read may be believed.
        coordinator.query("commit").await.context("the locks on the tables were lost")?;
        coordinator.end().await;
        Ok(())
    }
}

/// A block number that no table reaches.
const END_BLOCK: u32 = u32::MAX;

/// The next transaction id, modulo 2^32, as `age` sees it all through a transaction. `age(xmin)` counts back from it: a way from
/// `xmin` to a number that costs a fifth of `xmin::text::int8`.
const NEXT_XID: &str = "(3 + age('3'::xid)::int8) & 4294967295";

/// The id, with 64 bits, of the transaction that wrote the newest row. `next` and the age of the row are those of the session
/// that asked, a little after the transaction snapshot.
fn newest(snapshot: u64, next: u32, age: u32) -> u64 {
    let since = next.wrapping_sub(snapshot as u32);
    (snapshot + u64::from(since)).saturating_sub(u64::from(age))
}

fn fingerprint_query(table: &Table, blocks: u32) -> String {
    let last = table.blocks.saturating_sub(1) / blocks * blocks;
    // `~x` is `-x - 1`. A row that was frozen long ago may be of any age; modulo 2^31 it is never older than it is. `offset 0` keeps
    // the ages where they are computed once for each row.
    format!(
        "select g.block, g.block = {last}, f.rows, coalesce(f.hash, 0), coalesce(f.hash_inverse, 0), {NEXT_XID}, f.age
        from generate_series(0::bigint, {last}, {blocks}) as g(block),
        lateral (
            select
                count(*) as rows,
                bit_xor(hashtidextended(r.ctid, (select {NEXT_XID}) - r.age)) as hash,
                bit_xor(hashtidextended(r.ctid, r.age - (select ({NEXT_XID}) + 1))) as hash_inverse,
                min(r.age & 2147483647) as age
            from (
                select t.ctid, age(t.xmin) as age from only {name} as t
                where t.ctid >= format('(%s,0)', g.block)::tid
                    and t.ctid < format('(%s,0)', case when g.block = {last} then {END_BLOCK} else g.block + {blocks} end)::tid
                offset 0
            ) as r
        ) as f
        order by g.block",
        name = table.quoted()
    )
}

/// The rows of a run as `copy` text. Used on sources, and on targets to read back.
pub(crate) fn copy_query(table: &Table, run: Option<Run>) -> String {
    let columns = table.columns.iter().map(|c| quote_identifier(c)).collect::<Vec<_>>().join(", ");
    let mut from = format!("from only {}", table.quoted());
    if let Some(Run { first_block, blocks }) = run {
        let end = blocks.map_or(END_BLOCK, |blocks| first_block.saturating_add(blocks));
        // Writing to a String cannot fail.
        let _ = write!(from, " where ctid >= '({first_block},0)'::tid and ctid < '({end},0)'::tid");
    }
    match &table.condition {
        None => format!("copy (select {columns} {from}) to stdout"),
        // It says `where` itself, and may name any column, with the table's name before it.
        Some(condition) => {
            let name = quote_identifier(&table.name);
            format!("copy (select {columns} from (select * {from}) as {name} {condition}) to stdout")
        }
    }
}

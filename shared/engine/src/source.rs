//! The port on what is backed up.
//!
//! Always holds: everything that one [`Capture`] gives shows the same transaction snapshot, and the tables it describes
//! cannot be truncated, rewritten or dropped until it is closed.

use crate::catalog::Warning;
use crate::digest::Fingerprint;
use crate::error::Result;
use crate::id::AttemptId;
use crate::storage::StoredObject;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Rows as `copy … to stdout` text, in chunks of at most [`crate::limits::CHUNK_BYTES`] that may end anywhere.
pub type RowStream = BoxStream<'static, Result<Bytes>>;

/// A contiguous run of blocks of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The first block.
    pub first_block: u32,
    /// The number of blocks; `None` for the last run of a table, which is open-ended so that growth is never lost.
    pub blocks: Option<u32>,
}

/// A run of blocks, and what the server knows of its rows without sending them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPrint {
    /// The run.
    pub run: Run,
    /// What its rows' `(ctid, xmin)` pairs hash to.
    pub fingerprint: Fingerprint,
    /// No row of it was written by a later transaction. The id has 64 bits; 0 without rows. A row that was frozen long ago
    /// can seem newer than it is, never older.
    pub newest_transaction_id: u64,
}

/// What kind of rows these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A table, or a leaf partition.
    Table,
    /// A table of an extension, which the extension itself fills in part: those rows that it marked as its owner's.
    ExtensionTable,
    /// The pages of all large objects (`pg_catalog.pg_largeobject`).
    LargeObjectPages,
}

/// One table to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What kind of rows.
    pub kind: TableKind,
    /// Its object id.
    pub oid: u32,
    /// Its file; a rewrite or a truncate gives it another.
    pub relfilenode: u32,
    /// The columns that are copied, in order: neither dropped nor generated.
    pub columns: Vec<String>,
    /// SQL that is true of the rows that are copied; of all without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub condition: Option<String>,
    /// The SHA-256 of everything that decides how a row is written as text.
    pub definition: String,
    /// Blocks of its heap when it was described; 0 for a table without one.
    pub blocks: u32,
    /// Bytes of its heap and TOAST when it was described.
    pub bytes_on_disk: u64,
    /// Why its rows have no usable place and are read in one run, always; `None` for an ordinary heap.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unplaced: Option<String>,
    /// Why the text of a row can change although the row does not, so that it is copied in every backup; `None` for most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unsteady: Option<String>,
}

impl Table {
    /// `schema.table`, quoted as SQL identifiers.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

/// An SQL identifier in double quotes.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where a sequence stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The last value.
    pub last_value: i64,
    /// Whether that value was given out.
    pub is_called: bool,
}

/// A role that objects of the source refer to. Never its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The options of `create role`, such as `nologin noinherit`.
    pub options: Vec<String>,
    /// The roles it is a member of.
    pub member_of: Vec<String>,
    /// Its `alter role … set` settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A large object's owner and rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObject {
    /// Its object id.
    pub oid: u32,
    /// Its owner.
    pub owner: String,
    /// `grant` statements that give its rights again.
    pub grants: Vec<String>,
    /// Its comment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
}

/// A materialised view, filled again after a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterializedView {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

/// What became of one part of the source. Every schema ends in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CoverageState {
    /// It is in the snapshot.
    BackedUp,
    /// The source has the part, but it is not set up.
    NotConfigured,
    /// There is nothing of it that lasts.
    NotApplicable,
    /// It cannot be read out by anyone.
    NotExportable,
    /// It should have been read, and was not.
    Failed,
}

/// The coverage of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Coverage {
    /// A schema's name, or a part such as `roles`.
    pub part: String,
    /// What became of it.
    pub state: CoverageState,
    /// Why, and what to do, where that is not plain.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub detail: String,
}

/// The server and the database, as the transaction snapshot sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Such as `PostgreSQL`.
    pub product: String,
    /// `server_version_num`, such as 180006.
    pub version_num: u32,
    /// `server_version`, such as `18.6`.
    pub version: String,
    /// The cluster's system identifier.
    pub system_identifier: String,
    /// The timeline.
    pub timeline: u32,
    /// The database's name.
    pub database: String,
    /// The database's object id.
    pub database_oid: u32,
    /// The database's encoding, such as `UTF8`.
    pub encoding: String,
    /// Bytes a block.
    pub block_bytes: u32,
    /// `pg_current_snapshot()`: which transactions are seen.
    pub transaction_snapshot: String,
    /// The 64-bit id of the first transaction that had not begun at that moment.
    pub transaction_id: u64,
    /// The 64-bit id of the oldest transaction that was still running at that moment.
    #[serde(default)]
    pub oldest_transaction_id: u64,
    /// The write-ahead log's insert position at that moment.
    pub wal_lsn: String,
}

/// The attempts that this physical database remembers, as the transaction snapshot sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// These.
    Known(BTreeSet<AttemptId>),
    /// It can remember none. Says why, and what to do.
    Unknown(String),
}

/// Everything about a capture but the rows.
#[derive(Clone, Debug)]
pub struct Description {
    /// The server.
    pub server: Server,
    /// The attempts that it remembers.
    pub lineage: Lineage,
    /// The tables, largest first.
    pub tables: Vec<Table>,
    /// The sequences.
    pub sequences: Vec<Sequence>,
    /// The roles.
    pub roles: Vec<Role>,
    /// The large objects.
    pub large_objects: Vec<LargeObject>,
    /// The filled materialised views, in the order in which they may be filled.
    pub materialized_views: Vec<MaterializedView>,
    /// How many objects of Storage the database lists; none where it belongs to no project.
    pub stored_objects: Option<u64>,
    /// What became of each part.
    pub coverage: Vec<Coverage>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// A source.
#[async_trait::async_trait]
pub trait Source: Send + Sync {
    /// Fixes a transaction snapshot, locks and describes the tables.
    ///
    /// # Errors
    /// `Invalid` for a wrong address or password, `Denied` for missing rights, `Unsupported` for a server that is too old
    /// or a pooler that keeps no session, `Unavailable` when the server does not answer or a table stays locked.
    async fn capture(&self) -> Result<Box<dyn Capture>>;
}

/// One transaction snapshot of a source.
#[async_trait::async_trait]
pub trait Capture: Send + Sync {
    /// What is in it.
    fn description(&self) -> &Description;

    /// The objects of Storage that the database lists. A project may have millions: only who copies them asks for them.
    ///
    /// # Errors
    /// As [`Source::capture`].
    async fn stored_objects(&self) -> Result<Vec<StoredObject>>;

    /// The schema as an archive of `pg_dump`'s custom format, at most [`crate::limits::SCHEMA_BYTES_MAX`].
    fn schema(&self) -> Bytes;

    /// The fingerprints of a table's runs of `blocks` blocks, in order, the last one open-ended.
    ///
    /// # Errors
    /// As [`Source::capture`].
    async fn fingerprints(&self, table: &Table, blocks: u32) -> Result<Vec<RunPrint>>;

    /// Makes the database remember an attempt, and forget all others that are not in `keep`. Done outside of the transaction
    /// snapshot, before anything is copied, and there for good when it comes back.
    ///
    /// # Errors
    /// As [`Source::capture`].
    async fn remember(&self, attempt: AttemptId, keep: &BTreeSet<AttemptId>) -> Result<()>;

    /// The rows of a run; of the whole table without one. Waits for a free session.
    ///
    /// # Errors
    /// As [`Source::capture`].
    async fn copy(&self, table: &Table, run: Option<Run>) -> Result<RowStream>;

    /// Ends the transaction snapshot.
    ///
    /// # Errors
    /// `Unavailable` when it had ended before: then nothing that was read may be believed.
    async fn close(&self) -> Result<()>;
}

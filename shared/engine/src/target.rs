//! The port on what is restored into.
//!
//! Always holds: a target that held anything before is refused, and nothing of it is touched; unless it is to be replaced: then all of
//! it is, at the end, or nothing. Each segment's rows appear exactly once, however often a restore is interrupted and begun again.

use crate::catalog::Warning;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::scope::Scope;
use crate::source::{LargeObject, MaterializedView, Role, RowStream, Run, Sequence, Server, Table};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;

/// What a restore makes before any row comes.
#[derive(Clone)]
pub struct Outline {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The server it was taken from.
    pub server: Server,
    /// The schema archive.
    pub schema: Bytes,
    /// The roles.
    pub roles: Vec<Role>,
    /// The large objects.
    pub large_objects: Vec<LargeObject>,
    /// Where the sequences stand.
    pub sequences: Vec<Sequence>,
    /// The materialised views to fill.
    pub materialized_views: Vec<MaterializedView>,
    /// The tables, and what comes of their rows.
    pub tables: Vec<TableOutline>,
    /// What of it is wanted; everything without one.
    pub scope: Option<Scope>,
    /// Whether the target is for people who may not see everything, and must not act on the world: what would call others from
    /// within the database is left out.
    pub masked: bool,
    /// Whether what the target holds is replaced.
    pub replace: bool,
}

/// A table of a restore.
#[derive(Clone, Debug)]
pub struct TableOutline {
    /// The table.
    pub table: Table,
    /// How many rows of it the backup has.
    pub count: u64,
    /// What comes of its rows.
    pub rows: Rows,
}

/// What comes of a table's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All, as the snapshot's instant shows them.
    All,
    /// All, of another instant: rows of other tables may refer to some that are not there.
    Older,
    /// None. Says why.
    LeftOut(String),
    /// If the table is wanted, nothing may be restored. Says why.
    Refused(String),
}

/// Why rows are left out that the request excludes.
pub const EXCLUDED: &str = "the request excludes them";

/// What a target is before it is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The cluster's system identifier, as in [`Server`].
    pub system_identifier: String,
    /// The database's object id.
    pub database_oid: u32,
    /// Whether it holds anything that is not of an interrupted restore.
    pub in_use: bool,
    /// If it was replaced by this very snapshot already: where what it held before is, in a sentence.
    pub replaced: Option<String>,
}

/// Segments of one table whose rows are added together.
pub struct Batch {
    /// The table.
    pub table: Arc<Table>,
    /// The segments, by their number in the manifest.
    pub segments: Vec<u64>,
    /// Whether these are all of the table's rows, and the table is empty.
    pub whole: bool,
}

/// A target.
#[async_trait::async_trait]
pub trait Target: Send + Sync {
    /// Looks at a target that may be in use. Changes nothing.
    ///
    /// # Errors
    /// Where it is to be replaced: why it cannot be, as [`Self::begin`].
    async fn inspect(&self, outline: &Outline) -> Result<Standing>;

    /// Takes an empty target, or takes up an interrupted restore of the same snapshot, and makes the tables. One that is in use is
    /// replaced if the outline says so: nobody else sees anything of that before [`Loading::finish`].
    ///
    /// # Errors
    /// `Invalid` when it is not empty, naming what is there, or what of it cannot be replaced; `Unavailable` when another restore runs
    /// into it; `Conflict` when it was replaced by this snapshot already; `Unsupported` when its server is older than the source's;
    /// otherwise as [`crate::source::Source::capture`].
    async fn begin(&self, outline: Outline) -> Result<Box<dyn Loading>>;
}

/// A restore that has begun.
#[async_trait::async_trait]
pub trait Loading: Send + Sync {
    /// Whether the target takes the rows of a table: it is in the scope, its rows are not left out, and it is not one that the
    /// target keeps by itself.
    fn takes(&self, table: &Table) -> bool;

    /// The segments that are there already, by their number in the manifest.
    fn loaded(&self) -> &HashSet<u64>;

    /// Adds the rows of a batch, all or none. An error in the stream leaves none. Waits for the first rows, and only then
    /// for a free session: so one batch is fetched while another is loaded. Gives the number of rows.
    ///
    /// # Errors
    /// The stream's; `Invalid` when the target refuses a row; `Unavailable`.
    async fn load(&self, batch: &Batch, rows: RowStream) -> Result<u64>;

    /// Makes everything that comes after the rows: indexes, constraints, triggers, sequences, large objects, views.
    /// Gives what could not be made, and why.
    ///
    /// # Errors
    /// `Invalid` when something cannot be made that must be.
    async fn complete(&self) -> Result<Vec<Warning>>;

    /// The runs by which a table may be read back.
    ///
    /// # Errors
    /// As [`crate::source::Source::capture`].
    async fn runs(&self, table: &Table) -> Result<Vec<Option<Run>>>;

    /// The rows of a run, as the target holds them now.
    ///
    /// # Errors
    /// As [`crate::source::Source::capture`].
    async fn read_back(&self, table: &Table, run: Option<Run>) -> Result<RowStream>;

    /// Whether all that was restored was proven before: by an interrupted restore, which has only to come to its end.
    fn is_proven(&self) -> bool;

    /// Notes that all was proven.
    ///
    /// # Errors
    /// As [`crate::source::Source::capture`].
    async fn note_proven(&self) -> Result<()>;

    /// Removes what the restore kept in the target for itself; puts what was made in the place of what it replaces. Gives what a
    /// person should know.
    ///
    /// # Errors
    /// As [`crate::source::Source::capture`]; `Invalid` when something cannot be made that must be.
    async fn finish(&self) -> Result<Vec<Warning>>;
}

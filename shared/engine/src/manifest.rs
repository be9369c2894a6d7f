//! The manifest: the sealed list that makes a snapshot. JSON, one zstd frame, one sealed message.

use crate::blob::{self, Blob};
use crate::catalog::Warning;
use crate::clock::Timestamp;
use crate::compress;
use crate::digest::RowTally;
use crate::envelope::SealKey;
use crate::error::{Error, Result, ResultExt};
use crate::id::{AttemptId, SnapshotId};
use crate::keyring::{Keyring, Purpose, context};
use crate::limits::{FORMAT_VERSION, MANIFEST_BYTES_MAX};
use crate::message;
use crate::object::ObjectRef;
use crate::segment::Segment;
use crate::source::{Coverage, LargeObject, MaterializedView, Role, Sequence, Server, Table};
use crate::stage::Storable;
use serde::{Deserialize, Serialize};

/// An attempt whose segments a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The attempt whose id the packs carry.
    pub attempt: AttemptId,
    /// The attempt that read the rows, which the database remembers, where they were sealed again since.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub read_by: Option<AttemptId>,
    /// The instant that its transaction snapshot shows.
    pub taken_at: Timestamp,
    /// The first transaction that had not begun then.
    pub transaction_id: u64,
    /// The oldest transaction that was running then.
    pub oldest_transaction_id: u64,
}

impl Origin {
    /// Of what an attempt copies.
    pub fn new(attempt: AttemptId, taken_at: Timestamp, server: &Server) -> Self {
        let Server { transaction_id, oldest_transaction_id, .. } = *server;
        Self { attempt, read_by: None, taken_at, transaction_id, oldest_transaction_id }
    }

    /// The same rows, sealed again under the id of another attempt.
    #[must_use]
    pub fn sealed_again(self, attempt: AttemptId) -> Self {
        Self { attempt, read_by: Some(self.read_by()), ..self }
    }

    /// The attempt that read the rows, which the database remembers.
    pub fn read_by(&self) -> AttemptId {
        self.read_by.unwrap_or(self.attempt)
    }
}

/// A table and its segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableManifest {
    /// The table.
    #[serde(flatten)]
    pub table: Table,
    /// The instant that its rows show, if that is not the snapshot's: its class is read less often.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub taken_at: Option<Timestamp>,
    /// The class whose rows are never read, if it is of one: it has no segments then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub excluded: Option<String>,
    /// The sum of its segments.
    pub tally: RowTally,
    /// Its segments, in the order of their runs.
    pub segments: Vec<Segment>,
}

impl TableManifest {
    /// A table as the snapshot's instant shows it.
    pub fn new(table: Table, segments: Vec<Segment>) -> Self {
        let tally = segments.iter().fold(RowTally::default(), |sum, s| sum.plus(s.tally));
        Self { table, taken_at: None, excluded: None, tally, segments }
    }
}

/// Everything that makes a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version.
    pub format: u32,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The attempt that made it.
    pub attempt: AttemptId,
    /// The name of the source.
    pub source: String,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// The server and database.
    pub server: Server,
    /// The sealed schema archive.
    pub schema: ObjectRef,
    /// The attempts whose packs these are: the one that made the snapshot, and those before it whose segments had not
    /// changed.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// The packs that segments refer to, by their place in this list.
    pub packs: Vec<ObjectRef>,
    /// The tables, largest first.
    pub tables: Vec<TableManifest>,
    /// The sequences.
    pub sequences: Vec<Sequence>,
    /// The roles.
    pub roles: Vec<Role>,
    /// The large objects; their pages are a table of the kind `large_object_pages`.
    pub large_objects: Vec<LargeObject>,
    /// The materialised views to fill, in order.
    pub materialized_views: Vec<MaterializedView>,
    /// The objects of the project's Storage.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blobs: Vec<Blob>,
    /// What became of each part of the source.
    pub coverage: Vec<Coverage>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// What every version of the manifest and of the inventory begins with.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// Refuses a document of a newer format before anything else of it is read.
pub(crate) fn require_known_format(json: &[u8], what: &str) -> Result<()> {
    let version: Versioned = serde_json::from_slice(json)
        .map_err(|e| Error::corrupt(format!("the {what} is not the JSON of this format")).with_source(e))?;
    match version.format {
        0 => Err(Error::corrupt(format!("the {what} says it is of format 0, which never was"))),
        n if n > FORMAT_VERSION => Err(Error::unsupported(format!(
            "the {what} is of format {n}; this version reads up to format {FORMAT_VERSION}: use a newer version of the product"
        ))),
        _ => Ok(()),
    }
}

impl Manifest {
    /// Seals it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, keyring: &Keyring, key: &SealKey, level: i32) -> Result<Storable> {
        let json =
            serde_json::to_vec(self).map_err(|e| Error::internal("write the manifest as JSON").with_source(e))?;
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(Error::exhausted(format!(
                "the manifest has {} bytes; the limit is {MANIFEST_BYTES_MAX}",
                json.len()
            )));
        }
        Ok(Storable::message(message::seal(keyring, key, &compress::compress(&json, level)?)?))
    }

    /// Opens the manifest that an attempt sealed, and checks that it holds together.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for a newer format; those of the key service.
    pub async fn open(keyring: &Keyring, attempt: AttemptId, sealed: &[u8]) -> Result<Self> {
        let compressed = message::open(keyring, &context(Purpose::Manifest, attempt)?, sealed).await?;
        let json = compress::decompress(&compressed, MANIFEST_BYTES_MAX)?;
        require_known_format(&json, "manifest")?;
        let manifest: Self = serde_json::from_slice(&json)
            .map_err(|e| Error::corrupt("the manifest is not the JSON of this format").with_source(e))?;
        manifest.check().context("check the manifest")?;
        Ok(manifest)
    }

    /// The attempt that read it from the source.
    pub fn read_by(&self) -> AttemptId {
        self.origins.iter().find(|o| o.attempt == self.attempt).map_or(self.attempt, Origin::read_by)
    }

    /// The sum of all tables.
    pub fn tally(&self) -> RowTally {
        self.tables.iter().fold(RowTally::default(), |sum, t| sum.plus(t.tally))
    }

    /// Requires that extents lie in packs, that segments add up to tables, and that fingerprints counted what was copied.
    ///
    /// # Errors
    /// `Corrupt`, with what does not hold.
    pub fn check(&self) -> Result<()> {
        check_tables(&self.tables, &self.packs)?;
        blob::check(&self.blobs, &self.packs)
    }
}

/// Requires that extents lie in packs, that segments add up to tables, and that fingerprints counted what was copied.
pub(crate) fn check_tables(tables: &[TableManifest], packs: &[ObjectRef]) -> Result<()> {
    for table in tables {
        let sum = table.segments.iter().fold(RowTally::default(), |sum, s| sum.plus(s.tally));
        if sum != table.tally {
            return Err(Error::corrupt(format!("the segments of {} do not add up to it", table.table.quoted())));
        }
        table
            .segments
            .iter()
            .try_for_each(|s| check_segment(s, packs).context(format!("segment of {}", table.table.quoted())))?;
    }
    Ok(())
}

fn check_segment(segment: &Segment, packs: &[ObjectRef]) -> Result<()> {
    let mut bytes = 0u64;
    for extent in &segment.extents {
        extent.check(packs)?;
        bytes = bytes.checked_add(extent.bytes).ok_or_else(|| Error::corrupt("the extents' bytes overflow"))?;
    }
    if bytes != segment.tally.bytes {
        return Err(Error::corrupt("the extents do not add up to the segment"));
    }
    match segment.fingerprint {
        Some(f) if f.rows != segment.tally.rows => Err(Error::corrupt(format!(
            "the fingerprint counted {} rows and {} were copied",
            f.rows, segment.tally.rows
        ))),
        _ => Ok(()),
    }
}

//! What is inside a snapshot, as the catalog keeps it beside the record: names and numbers, so that a person can choose without
//! anything being opened. What it says is in the sealed manifest too, and is made again from that.

use crate::catalog::{self, Catalog, Collection, Record, RecordId};
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::limits::{CONTENTS_BYTES_MAX, CONTENTS_COVERAGE_MAX};
use crate::manifest::{Manifest, TableManifest};
use crate::source::Coverage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One table of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableContents {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// The instant that its rows show, if that is not the snapshot's: its class is read less often.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub taken_at: Option<Timestamp>,
    /// The class whose rows are never read, if it is of one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub excluded: Option<String>,
}

/// The objects of one bucket of Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BucketContents {
    /// Its name.
    pub bucket: String,
    /// Its objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is inside a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its tables, largest first.
    pub tables: Vec<TableContents>,
    /// How many there are: those that would not fit are left out, smallest first.
    pub tables_total: u64,
    /// The buckets of Storage.
    pub buckets: Vec<BucketContents>,
    /// What became of each part of the source.
    pub coverage: Vec<Coverage>,
}

/// The contents of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentsId(pub SnapshotId);

impl fmt::Display for ContentsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Record for Contents {
    const COLLECTION: Collection = Collection::Contents;
    type Id = ContentsId;

    fn id(&self) -> ContentsId {
        ContentsId(self.id)
    }
}

impl RecordId for ContentsId {
    type Record = Contents;
}

impl TableContents {
    fn of(manifest: &TableManifest) -> Self {
        Self {
            schema: manifest.table.schema.clone(),
            name: manifest.table.name.clone(),
            rows: manifest.tally.rows,
            bytes: manifest.tally.bytes,
            taken_at: manifest.taken_at,
            excluded: manifest.excluded.clone(),
        }
    }

    /// About as many bytes as its JSON has.
    fn weight(&self) -> usize {
        // A character may be written as six.
        6 * (self.schema.len() + self.name.len() + self.excluded.as_ref().map_or(0, String::len)) + 140
    }
}

impl Contents {
    /// What a manifest lists.
    pub fn of(manifest: &Manifest) -> Self {
        let mut tables: Vec<_> = manifest.tables.iter().map(TableContents::of).collect();
        tables.sort_by(|a, b| (b.bytes, &a.schema, &a.name).cmp(&(a.bytes, &b.schema, &b.name)));
        let tables_total = tables.len() as u64;
        let mut weight = 0;
        tables.retain(|table| {
            weight += table.weight();
            weight <= CONTENTS_BYTES_MAX
        });
        let mut buckets: BTreeMap<&str, BucketContents> = BTreeMap::new();
        for blob in &manifest.blobs {
            let Some(content) = &blob.content else { continue };
            let bucket = buckets.entry(&blob.object.bucket).or_insert_with(|| BucketContents {
                bucket: blob.object.bucket.clone(),
                objects: 0,
                bytes: 0,
            });
            bucket.objects += 1;
            bucket.bytes += content.length;
        }
        Self {
            id: manifest.snapshot,
            tables,
            tables_total,
            buckets: buckets.into_values().take(CONTENTS_COVERAGE_MAX).collect(),
            coverage: manifest.coverage.iter().take(CONTENTS_COVERAGE_MAX).cloned().collect(),
        }
    }
}

/// Keeps what is inside a snapshot, if that is not kept yet.
///
/// # Errors
/// Those of the catalog.
pub async fn keep(catalog: &dyn Catalog, contents: &Contents) -> Result<()> {
    match catalog::insert(catalog, contents).await {
        Err(e) if e.kind() == ErrorKind::Conflict => Ok(()),
        kept => kept.context("keep what is inside the backup"),
    }
}

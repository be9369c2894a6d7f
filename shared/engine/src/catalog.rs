//! The catalog: what the mobile app is shown. A cache of what the buckets say, which can be rebuilt from any one of them.
//!
//! Always holds: a record changes only by [`Catalog::replace`] of the revision that was read, its status never goes back,
//! and an attempt with a lower fencing epoch never wins over a higher one.

mod record;

pub use record::{
    AttemptRecord, BlobCounts, HandOvers, Phase, Progress, Replica, ReplicaState, SegmentCounts, SnapshotRecord,
    SnapshotSummary, Status, Trigger, Warning,
};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::limits::AMEND_TRIES;
use serde::{Deserialize, Serialize};

/// A record, and the revision it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Counts its writes; grows by one a write.
    pub revision: u64,
}

/// The right to back up one source, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What is leased: the name of the source.
    pub name: String,
    /// Who holds it: the snapshot that is being made.
    pub holder: SnapshotId,
    /// Grows by one each time the lease passes on; a writer with a lower epoch has lost.
    pub epoch: u64,
    /// After this instant anyone may take it.
    pub expires_at: Timestamp,
}

/// A page of records, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<SnapshotRecord>,
    /// Give this to get the next page; `None` when this is the last.
    pub next: Option<SnapshotId>,
}

/// The port on the table of records.
#[async_trait::async_trait]
pub trait Catalog: Send + Sync {
    /// Adds a record.
    ///
    /// # Errors
    /// `Conflict` when there is one of that id; `Unavailable`, `Denied`; `NotFound` when the table is missing.
    async fn insert(&self, record: &SnapshotRecord) -> Result<()>;

    /// Replaces the record of that id, if it is still at `revision`.
    ///
    /// # Errors
    /// `Conflict` when it is not; otherwise as `insert`.
    async fn replace(&self, record: &SnapshotRecord, revision: u64) -> Result<()>;

    /// The record of an id, read consistently.
    ///
    /// # Errors
    /// As `insert`.
    async fn get(&self, id: SnapshotId) -> Result<Option<Versioned<SnapshotRecord>>>;

    /// Records with ids below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// As `insert`.
    async fn list(&self, before: Option<SnapshotId>, limit: usize) -> Result<RecordPage>;

    /// Takes a lease that is free, expired at `now`, or already the holder's. The epoch grows unless it was already the
    /// holder's.
    ///
    /// # Errors
    /// `Conflict` when somebody else holds it, naming who and until when.
    async fn acquire(&self, name: &str, holder: SnapshotId, now: Timestamp, expires_at: Timestamp) -> Result<Lease>;

    /// Extends a lease that is still held at that epoch (`expires_at` in the past gives it up).
    ///
    /// # Errors
    /// `Conflict` when it passed on.
    async fn renew(&self, lease: &Lease, expires_at: Timestamp) -> Result<Lease>;
}

/// Reads a record, changes it, and writes it back; again if somebody else wrote in between. `change` answers whether
/// there is anything to write.
///
/// # Errors
/// `NotFound` when there is no such record; those of `change` and of the catalog.
pub async fn amend(
    catalog: &dyn Catalog,
    id: SnapshotId,
    mut change: impl FnMut(&mut SnapshotRecord) -> Result<bool> + Send,
) -> Result<SnapshotRecord> {
    for _ in 0..AMEND_TRIES {
        let Some(Versioned { value: mut record, revision }) =
            catalog.get(id).await.context("read the backup's record")?
        else {
            return Err(Error::not_found(format!("the catalog has no backup {id}")));
        };
        if !change(&mut record)? {
            return Ok(record);
        }
        match catalog.replace(&record, revision).await {
            Ok(()) => return Ok(record),
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(e.context("write the backup's record")),
        }
    }
    Err(Error::conflict(format!("the record of backup {id} was changed by others {AMEND_TRIES} times in a row")))
}

//! The catalog: what the mobile app is shown. A cache of what the buckets say, which can be rebuilt from any one of them.
//!
//! The port keeps JSON documents; what they mean is said by the types that implement [`Record`]. Always holds: a record changes
//! only by a replacement of the revision that was read, the status of a backup never goes back, and an attempt with a lower
//! fencing epoch never wins over a higher one.

mod document;
mod finding;
mod progress;
mod replica;
mod record;

pub use document::{
    Collection, Document, DocumentPage, Page, Record, RecordId, Versioned, all, amend, forget, get, insert, list,
    newest, remove, replace,
};
pub use finding::{Finding, FindingCode};
pub use progress::{BlobCounts, Progress, SegmentCounts};
pub use record::{
    AttemptRecord, CANCELLED, Cancellation, Drilled, HandOvers, Phase, Pin, SnapshotRecord, SnapshotSummary, Status,
    Trigger, Verified, Warning,
};
pub use replica::{Replica, ReplicaState};

use crate::clock::Timestamp;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A right that only one holds at a time, for a while: to back up one source, to prune.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What is leased: the name of the source.
    pub name: String,
    /// Who holds it: the id of the snapshot that is being made, or of the run.
    pub holder: String,
    /// Grows by one each time the lease passes on; a writer with a lower epoch has lost.
    pub epoch: u64,
    /// After this instant anyone may take it.
    pub expires_at: Timestamp,
}

/// The port on the table of records.
#[async_trait::async_trait]
pub trait Catalog: Send + Sync {
    /// Adds a document, at revision 1.
    ///
    /// # Errors
    /// `Conflict` when there is one of that id; `Unavailable`, `Denied`; `NotFound` when the table is missing.
    async fn insert(&self, document: &Document) -> Result<()>;

    /// Replaces the document of that id, if it is still at `revision`.
    ///
    /// # Errors
    /// `Conflict` when it is not; otherwise as `insert`.
    async fn replace(&self, document: &Document, revision: u64) -> Result<()>;

    /// Removes the document of that id, if it is still at `revision`. One that is not there is removed already.
    ///
    /// # Errors
    /// `Conflict` when it is at another revision; otherwise as `insert`.
    async fn remove(&self, collection: Collection, id: &str, revision: u64) -> Result<()>;

    /// The document of an id, read consistently.
    ///
    /// # Errors
    /// As `insert`; `Corrupt` when it is there and cannot be read.
    async fn get(&self, collection: Collection, id: &str) -> Result<Option<Versioned<Document>>>;

    /// Documents with ids below `before`, greatest first, at most `limit`.
    ///
    /// # Errors
    /// As `get`; `Invalid` for a limit that no page may have.
    async fn list(&self, collection: Collection, before: Option<&str>, limit: usize) -> Result<DocumentPage>;

    /// Takes a lease that is free, expired at `now`, or already the holder's. The epoch grows unless it was already the
    /// holder's.
    ///
    /// # Errors
    /// `Conflict` when somebody else holds it, naming who and until when.
    async fn acquire(&self, name: &str, holder: &str, now: Timestamp, expires_at: Timestamp) -> Result<Lease>;

    /// Extends a lease that is still held at that epoch (`expires_at` in the past gives it up).
    ///
    /// # Errors
    /// `Conflict` when it passed on.
    async fn renew(&self, lease: &Lease, expires_at: Timestamp) -> Result<Lease>;
}

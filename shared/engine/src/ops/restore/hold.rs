//! Says which snapshot a restore reads, so that it does not expire before the restore has come to its end.
//!
//! A restore needs no catalog: where there is none, or it does not answer, the restore goes on without.

use super::Restore;
use crate::catalog::{self, Catalog, Collection, Record, RecordId};
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::id::SnapshotId;
use crate::limits::HOLD_S;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A snapshot that is being restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which.
    pub snapshot: SnapshotId,
    /// It is held until then, if no other invocation goes on with the restore.
    pub until: Timestamp,
}

/// The hold of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldId(pub SnapshotId);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Record for Hold {
    const COLLECTION: Collection = Collection::Holds;
    type Id = HoldId;

    fn id(&self) -> HoldId {
        HoldId(self.snapshot)
    }
}

impl RecordId for HoldId {
    type Record = Hold;
}

impl Restore {
    pub(super) async fn hold(&self, snapshot: SnapshotId) {
        let Some(catalog) = &self.catalog else { return };
        let until = self.clock.now().plus_s(HOLD_S);
        if let Err(e) = extend(&**catalog, Hold { snapshot, until }).await {
            tracing::warn!(backup = %snapshot, error = %e, "could not say that it is being restored; it may expire meanwhile");
        }
    }
}

async fn extend(catalog: &dyn Catalog, hold: Hold) -> Result<()> {
    match catalog::insert(catalog, &hold).await {
        Err(e) if e.kind() == ErrorKind::Conflict => {}
        result => return result,
    }
    let longer = |kept: &mut Hold| {
        let news = kept.until < hold.until;
        kept.until = kept.until.max(hold.until);
        Ok(news)
    };
    catalog::amend(catalog, hold.id(), longer).await.map(|_| ())
}

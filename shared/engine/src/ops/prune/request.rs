//! What a person asks of `prune`: what it would let go, and that it runs now.

use super::candidates::candidates;
use super::record::restoring;
use super::{PruneOutcome, PruneRecord};
use crate::catalog::{self, Catalog, SnapshotRecord};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{PruneId, SnapshotId};
use crate::queue::{PruneOrder, Queue};
use crate::retention::{Decision, RetentionPolicy, plan};
use std::collections::BTreeMap;

/// What the policy says of each backup that the catalog knows. `prune` decides by what the vaults hold, which is the same while the
/// two agree; where they do not, it lets nothing go.
///
/// # Errors
/// Those of the catalog.
pub async fn forecast(catalog: &dyn Catalog, policy: &RetentionPolicy, now: Timestamp) -> Result<Vec<Decision>> {
    let records = catalog::all::<SnapshotRecord>(catalog).await?;
    let records: BTreeMap<SnapshotId, SnapshotRecord> = records.into_iter().map(|r| (r.id, r)).collect();
    let restoring = restoring(catalog, now).await?;
    let held = records.values().filter_map(|r| Some((r.id, r.source.as_str(), r.summary.as_ref()?.taken_at)));
    Ok(plan(&candidates(held, &records, &restoring), policy, now))
}

/// Asks for a run. Gives its record; asked again with the same id, it is the same request.
///
/// # Errors
/// Those of the catalog and the queue: asked again with the same id, it goes on.
pub async fn request(
    catalog: &dyn Catalog,
    queue: &dyn Queue<PruneOrder>,
    id: PruneId,
    policy: RetentionPolicy,
    by: &str,
    now: Timestamp,
) -> Result<PruneRecord> {
    let mut run = PruneRecord::asked(id, now, policy, by);
    match catalog::insert(catalog, &run).await {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::Conflict => run = record(catalog, id).await?,
        Err(e) => return Err(e.context("write the record of the run")),
    }
    if run.outcome == PruneOutcome::Asked {
        queue.send(&PruneOrder { prune_id: id }, 0).await.context("order the run")?;
    }
    Ok(run)
}

/// The record of a run, as it is now.
///
/// # Errors
/// `NotFound`; those of the catalog.
pub async fn record(catalog: &dyn Catalog, id: PruneId) -> Result<PruneRecord> {
    let found = catalog::get(catalog, id).await.context(format!("read the record of cleanup {id}"))?;
    found.map(|v| v.value).ok_or_else(|| Error::not_found(format!("there is no cleanup {id}")))
}

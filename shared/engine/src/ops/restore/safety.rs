//! The safety snapshot: before a production database is replaced, the vault holds a fresh snapshot of that very database.
//!
//! Always holds: it was taken after the request, or at most [`SAFETY_AGE_MAX_S`] before it; its manifest names the same cluster and
//! database as the target; all its objects are there. One is ordered only if none is there and none is being made. It lives in the
//! vault alone: so a request that is made again finds it.

use super::{Restore, deadline_margin_s};
use crate::catalog::{self, Phase, SnapshotRecord, Status, Trigger};
use crate::clock::{Entropy, Timestamp};
use crate::error::{Error, Result, ResultExt};
use crate::id::SnapshotId;
use crate::inventory;
use crate::limits::{LEASE_TTL_S, SAFETY_AGE_MAX_S, SAFETY_LOOKS, SAFETY_POLL_S};
use crate::queue::{BackupOrder, EVERYTHING, Queue};
use crate::target::Standing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What it takes to order a backup.
#[derive(Clone)]
pub struct Orders {
    /// Where orders are put.
    pub queue: Arc<dyn Queue<BackupOrder>>,
    /// Randomness, for the new one's id.
    pub entropy: Arc<dyn Entropy>,
}

/// Waits until there is a safety snapshot, and orders it if need be. Gives its id.
///
/// # Errors
/// `Unavailable` when the time is up before it is there: the same request finds it later; `Invalid` when none can be had.
pub(super) async fn require(
    restore: &Restore,
    standing: &Standing,
    asked_at: Timestamp,
    deadline: Option<Timestamp>,
) -> Result<SnapshotId> {
    let since = asked_at.plus_s(-SAFETY_AGE_MAX_S);
    let (mut looked_at, mut ordered) = (BTreeMap::new(), None);
    loop {
        if let Some(id) = fresh(restore, standing, since, &mut looked_at).await? {
            tracing::info!(backup = %id, "there is a safety snapshot");
            return Ok(id);
        }
        if let Some(other) = ordered.and_then(|id| looked_at.get(&id)) {
            return Err(Error::invalid(format!(
                "what is backed up is the database {other}, and not the one that is to be replaced: there is no safety snapshot of that; \
                 nothing was changed. Let `backup` read the target, or restore into an empty database"
            )));
        }
        let under_way = under_way(restore, since, ordered, &looked_at).await?;
        if under_way.is_none() && ordered.is_none() {
            ordered = Some(order(restore).await?);
        }
        let now = restore.clock.now();
        if deadline.is_some_and(|d| d.since(now) <= (deadline_margin_s(d, asked_at) + SAFETY_POLL_S) * 1_000) {
            let id = under_way.or(ordered).map(|id| id.to_string()).unwrap_or_default();
            return Err(Error::unavailable(format!(
                "the safety snapshot {id} is still being made; nothing was changed. Make the same request again in some minutes: it finds it"
            )));
        }
        restore.clock.sleep(Duration::from_secs(SAFETY_POLL_S as u64)).await;
    }
}

/// A fresh snapshot of the target. What else was fresh is noted with the name of its database.
async fn fresh(
    restore: &Restore,
    standing: &Standing,
    since: Timestamp,
    looked_at: &mut BTreeMap<SnapshotId, String>,
) -> Result<Option<SnapshotId>> {
    let ids = inventory::list(&*restore.vault).await.context("look for a safety snapshot")?;
    for id in ids.into_iter().rev().take(SAFETY_LOOKS) {
        if looked_at.contains_key(&id) {
            continue;
        }
        let (inventory, _) = inventory::read(&*restore.vault, id).await?;
        if inventory.taken_at < since {
            continue;
        }
        let (manifest, _) = restore.manifest(&inventory).await?;
        let server = manifest.server;
        // One in which some rows are older than the others would not do.
        let is_now = manifest.tables.iter().all(|t| t.taken_at.is_none());
        if is_now
            && (server.system_identifier.as_str(), server.database_oid)
                == (standing.system_identifier.as_str(), standing.database_oid)
        {
            restore.require_objects(&inventory).await.context("look at the safety snapshot")?;
            return Ok(Some(id));
        }
        looked_at.insert(id, server.database);
    }
    Ok(None)
}

/// A backup that is being made at the moment, whichever it is: another would only be refused.
async fn under_way(
    restore: &Restore,
    since: Timestamp,
    ordered: Option<SnapshotId>,
    looked_at: &BTreeMap<SnapshotId, String>,
) -> Result<Option<SnapshotId>> {
    // Without a catalog another may be ordered beside it.
    let Some(catalog) = &restore.catalog else { return Ok(None) };
    let page = catalog::list::<SnapshotRecord>(&**catalog, None, SAFETY_LOOKS)
        .await
        .context("look for a backup that is being made")?;
    if let Some(failed) = page.records.iter().find(|r| Some(r.id) == ordered && r.status == Status::Failed) {
        let why = failed.error.as_deref().unwrap_or("for a reason that it does not say");
        return Err(Error::unavailable(format!(
            "the safety snapshot {} failed: {why}; nothing was changed. Mend that, and make the same request again",
            failed.id
        )));
    }
    let now = restore.clock.now();
    let lives = |r: &&SnapshotRecord| {
        let beats = now.since(r.heartbeat_at) <= LEASE_TTL_S * 1_000;
        // On its way to the other vaults, of which the restore may read one.
        let arrives = r.phase == Phase::Replicating && r.started_at >= since && !looked_at.contains_key(&r.id);
        r.status == Status::InProgress && (arrives || (beats && r.phase != Phase::Replicating))
    };
    Ok(page.records.iter().find(lives).map(|r| r.id))
}

async fn order(restore: &Restore) -> Result<SnapshotId> {
    let Some(Orders { queue, entropy, .. }) = &restore.orders else {
        return Err(Error::invalid(format!(
            "the {} holds no snapshot of the target that was taken in the last {} minutes, and BACKUP_QUEUE_URL is not set, so none can be \
             ordered; nothing was changed. Make a backup by hand, then make the same request again",
            restore.vault.place(),
            SAFETY_AGE_MAX_S / 60
        )));
    };
    let id = SnapshotId::new(&*restore.clock, &**entropy)?;
    let order =
        BackupOrder { backup_id: Some(id), source: Some(EVERYTHING.to_owned()), ..BackupOrder::new(Trigger::Manual) };
    queue.send(&order, 0).await.context("order the safety snapshot")?;
    tracing::info!(backup = %id, "ordered a safety snapshot");
    Ok(id)
}

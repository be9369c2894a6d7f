//! Fills an empty catalog from the inventories of any one vault.
//!
//! It adds records and changes none: what the catalog knows already stays.

use crate::catalog::{self, AttemptRecord, Catalog, Phase, SnapshotRecord, Trigger};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::inventory;
use crate::layout::ObjectKey;
use crate::vault::{Vault, Vaults};
use std::sync::Arc;

/// Puts back the records that the catalog lacks of the snapshots in a vault. Gives their ids.
///
/// # Errors
/// Those of the vault and of the catalog.
pub async fn rebuild(
    catalog: &dyn Catalog,
    vaults: &Vaults,
    from: &Arc<dyn Vault>,
    clock: &dyn Clock,
) -> Result<Vec<SnapshotId>> {
    let mut added = Vec::new();
    for id in inventory::list(&**from).await? {
        if catalog::get(catalog, id).await.context("read the backup's record")?.is_none() {
            put_back(catalog, vaults, from, id, clock).await?;
            added.push(id);
        }
    }
    Ok(added)
}

/// Puts back the record of one snapshot. A vault that cannot be asked counts as not having it, until `replicate` looks
/// again.
pub(crate) async fn put_back(
    catalog: &dyn Catalog,
    vaults: &Vaults,
    from: &Arc<dyn Vault>,
    id: SnapshotId,
    clock: &dyn Clock,
) -> Result<SnapshotRecord> {
    let (inventory, stored) = inventory::read(&**from, id).await?;
    let places: Vec<_> = vaults.all().iter().map(|v| v.place().clone()).collect();
    let mut record =
        SnapshotRecord::pending(id, inventory.source.clone(), Trigger::Rebuilt, inventory.started_at, &places);
    let now = clock.now();
    let attempt = AttemptRecord { id: inventory.attempt, epoch: 0 };
    record.begin(attempt, now)?;
    record.summary = Some(inventory.summary(&stored));
    record.phase = Phase::Replicating;
    record.progress.tables = inventory.tables;
    record.progress.tables_total = inventory.tables;
    record.progress.rows = inventory.rows;
    record.progress.bytes = inventory.bytes;
    record.mark_complete(from.place().role, now);
    for vault in vaults.all().iter().filter(|vault| vault.place() != from.place()) {
        // The inventory is the last object of each vault, so a vault that has it is whole.
        match vault.head(&ObjectKey::Inventory(id)).await {
            Ok(Some(meta)) if meta.sha256 == Some(stored.sha256()) => {
                record.mark_complete(vault.place().role, now);
            }
            Ok(_) => {}
            Err(e) => {
                tracing::warn!(backup = %id, vault = %vault.place(), error = %e, "could not ask the vault for the snapshot")
            }
        }
    }
    match catalog::insert(catalog, &record).await {
        Ok(()) => Ok(record),
        Err(e) if e.kind() == ErrorKind::Conflict => {
            let found = catalog::get(catalog, id).await?;
            found.map(|v| v.value).ok_or_else(|| Error::conflict(format!("the record of {id} comes and goes")))
        }
        Err(e) => Err(e.context("put a record back")),
    }
}

//! Which snapshot of a vault is meant.

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::SnapshotId;
use crate::inventory::{self, Inventory};
use crate::vault::Vault;

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This one, or the last generation of it where it was sealed again.
    Snapshot(SnapshotId),
    /// The newest.
    Newest,
    /// The newest taken at or before an instant (the specification's `restorePoint`).
    AtOrBefore(Timestamp),
}

/// Finds a snapshot by what the vault itself holds.
///
/// # Errors
/// `NotFound`, saying which snapshots there are.
pub async fn select(vault: &dyn Vault, selection: Selection) -> Result<Inventory> {
    if let Selection::Snapshot(id) = selection {
        return match inventory::last_generation(vault, id).await? {
            Some(last) => Ok(inventory::read(vault, last).await?.0),
            None => Err(Error::not_found(format!("the {} has no backup {id}; {}", vault.place(), known(vault).await?))),
        };
    }
    for id in inventory::list(vault).await?.into_iter().rev() {
        let (inventory, _) = inventory::read(vault, id).await?;
        let chosen = match selection {
            Selection::AtOrBefore(instant) => inventory.taken_at <= instant,
            _ => true,
        };
        if chosen {
            return Ok(inventory);
        }
    }
    let wanted = match selection {
        Selection::AtOrBefore(instant) => format!("no backup taken at or before {instant}"),
        _ => "no backup".to_owned(),
    };
    Err(Error::not_found(format!("the {} has {wanted}; {}", vault.place(), known(vault).await?)))
}

/// The oldest and the newest snapshot of a vault, for an error.
async fn known(vault: &dyn Vault) -> Result<String> {
    let ids = inventory::list(vault).await?;
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok("it holds none at all".to_owned()) };
    let (oldest, _) = inventory::read(vault, *first).await?;
    let (newest, _) = inventory::read(vault, *last).await?;
    Ok(format!("it holds {}, taken from {} ({first}) to {} ({last})", ids.len(), oldest.taken_at, newest.taken_at))
}

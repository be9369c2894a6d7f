//! Puts back, in any vault, what `verify` found missing there, from any vault that has it. What is there is never written over:
//! an object that is not what was stored stays for a person to look at, and is reported until it is gone.

use super::{Replicate, Replicated};
use crate::catalog::{self, FindingCode, ReplicaState, SnapshotRecord};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::inventory::Inventory;
use crate::layout::ObjectKey;
use crate::limits::{LOOKS_IN_FLIGHT, REPLICATE_IN_FLIGHT};
use crate::object::ObjectRef;
use crate::stage::Storable;
use crate::vault::{PutOutcome, Vault, put_once};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;

impl Replicate {
    /// The records of snapshots that miss something in some vault.
    pub(super) async fn damaged(&self) -> Result<Vec<SnapshotRecord>> {
        let mut records = catalog::all::<SnapshotRecord>(&*self.catalog).await?;
        records.retain(|r| r.expired_at.is_none() && lacks_something(r));
        Ok(records)
    }

    /// Puts back what a snapshot lacks in the vaults in which `verify` found something missing, inventories last. Each object is
    /// tried: what nobody has keeps nothing else back, but for the inventory.
    pub(super) async fn repair(&self, record: &SnapshotRecord) -> Result<Replicated> {
        let (inventory, stored) = self.inventory_of(record).await?;
        let (mut repaired, mut failed) = (Replicated::default(), None);
        for replica in record.replicas.iter().filter(|r| r.findings.iter().any(|f| f.code.is_repaired_by_putting())) {
            let of_role = self.vaults.all().iter().find(|v| v.place().role == replica.place.role);
            let vault = of_role.ok_or_else(|| Error::internal("a replica without a vault"))?;
            let lacking = self.lacking(vault, &inventory).await?;
            let puts = stream::iter(&lacking).map(|object| self.put_back(vault, object));
            let mut puts = puts.buffer_unordered(REPLICATE_IN_FLIGHT);
            let mut is_whole = true;
            while let Some(put) = puts.next().await {
                match put {
                    Ok(done) => repaired = repaired.plus(done),
                    Err(e) => (is_whole, failed) = (false, Some(e)),
                }
            }
            if !is_whole {
                continue;
            }
            if put_once(&**vault, &inventory.key(), &stored).await? == PutOutcome::Written {
                repaired = repaired.plus(Replicated { objects: 1, bytes: stored.len() as u64 });
            }
            self.record(record.id, replica.place.role).await?;
        }
        failed.map_or(Ok(repaired), Err)
    }

    /// The objects of a snapshot that a vault has not.
    async fn lacking(&self, vault: &Arc<dyn Vault>, inventory: &Inventory) -> Result<Vec<ObjectRef>> {
        let looks = stream::iter(inventory.objects().copied()).map(|object| async move {
            let found = vault.head(&object.key).await;
            let found = found.context(format!("look at {} in the {}", object.key, vault.place()))?;
            Ok::<_, Error>(found.is_none().then_some(object))
        });
        let looks: Vec<Option<ObjectRef>> = looks.buffered(LOOKS_IN_FLIGHT).try_collect().await?;
        Ok(looks.into_iter().flatten().collect())
    }

    async fn put_back(&self, vault: &Arc<dyn Vault>, object: &ObjectRef) -> Result<Replicated> {
        for other in self.vaults.all().iter().filter(|v| v.place().role != vault.place().role) {
            match other.get(&object.key).await.and_then(|bytes| Storable::fetched(bytes, object.sha256)) {
                Ok(body) => {
                    put_once(&**vault, &object.key, &body).await?;
                    return Ok(Replicated { objects: 1, bytes: object.length });
                }
                Err(e) => {
                    tracing::info!(object = %object.key, vault = %other.place(), error = %e, "not to be had there")
                }
            }
        }
        Err(Error::corrupt(format!(
            "{} is missing in the {}, and no other vault has it whole",
            object.key,
            vault.place()
        )))
    }

    /// The inventory that the catalog knows, from any vault that has it.
    async fn inventory_of(&self, record: &SnapshotRecord) -> Result<(Inventory, Storable)> {
        let known = record.summary.as_ref().map(|s| s.checksum);
        let known = known.ok_or_else(|| Error::not_found("the catalog does not know what the snapshot consists of"))?;
        for vault in self.vaults.all() {
            let bytes = vault.get(&ObjectKey::Inventory(record.id)).await;
            match bytes.and_then(|bytes| Storable::fetched(bytes, known)) {
                Ok(stored) => return Ok((Inventory::decode(stored.bytes(), record.id)?, stored)),
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                Err(_) => {}
            }
        }
        Err(Error::corrupt(format!("no vault holds the inventory of {} that the catalog knows", record.id)))
    }
}

fn lacks_something(record: &SnapshotRecord) -> bool {
    let damaged = record.replicas.iter().filter(|r| r.state == ReplicaState::Damaged);
    damaged.flat_map(|r| &r.findings).map(|f| f.code).any(FindingCode::is_repaired_by_putting)
}

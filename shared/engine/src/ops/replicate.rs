//! Copies what lies in the primary vault into the others: on an event, and again without one. What `verify` found missing in any
//! vault is put back.
//!
//! Always holds: bytes are checked against their SHA-256 before they are put, objects are put only if absent, and the
//! inventory comes last in each vault. Events are hints: which object they name, how often, and in which order does not
//! matter. It has no keys and deletes nothing.

mod repair;

use crate::catalog::{self, Catalog, ReplicaState, SnapshotRecord, Status};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::inventory;
use crate::layout::ObjectKey;
use crate::limits::REPLICATE_IN_FLIGHT;
use crate::object::ObjectRef;
use crate::ops::{backup, rebuild};
use crate::stage::Storable;
use crate::vault::{PutOutcome, Vault, VaultRole, Vaults, put_once};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use std::sync::Arc;
use tracing::Instrument;

/// The operation and its ports.
pub struct Replicate {
    /// The three vaults.
    pub vaults: Vaults,
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicated {
    /// Objects that were put.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a reconciliation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// Snapshots in the primary vault.
    pub snapshots: u64,
    /// Snapshots that were not complete everywhere, and are now.
    pub repaired: Vec<SnapshotId>,
    /// Backups whose function had stopped without a word.
    pub settled: Vec<SnapshotId>,
    /// Snapshots that could not be made complete, and why.
    pub failed: Vec<String>,
    /// What was copied.
    #[serde(flatten)]
    pub copied: Replicated,
}

impl Replicate {
    /// An object has landed in the primary vault: it, or the snapshot whose inventory it is, is copied.
    ///
    /// # Errors
    /// Those of the vaults; `Corrupt` when the object is not what was stored.
    pub async fn landed(&self, key: ObjectKey) -> Result<Replicated> {
        match key {
            ObjectKey::Inventory(id) => self.snapshot(id).await,
            _ => self.object(key).instrument(tracing::info_span!("replicate", object = %key)).await,
        }
    }

    /// Copies one object to the replicas that lack it.
    async fn object(&self, key: ObjectKey) -> Result<Replicated> {
        let primary = self.vaults.primary();
        let Some(meta) = primary.head(&key).await.context(format!("look at {key} in the {}", primary.place()))? else {
            // A late event of an object that was pruned since.
            return Ok(Replicated::default());
        };
        let sha256 = meta.sha256.ok_or_else(|| {
            Error::corrupt(format!(
                "{key} in the {} was stored without a SHA-256, so not by this product",
                primary.place()
            ))
        })?;
        self.ensure(&ObjectRef { key, length: meta.length, sha256 }, self.vaults.replicas()).await
    }

    /// Makes a snapshot complete in both replicas, inventories last, and records it.
    ///
    /// # Errors
    /// Those of the vaults and of the catalog; `Corrupt` when an object is missing in the primary vault or not what the
    /// inventory says.
    pub async fn snapshot(&self, id: SnapshotId) -> Result<Replicated> {
        self.whole(id).instrument(tracing::info_span!("replicate", backup = %id)).await
    }

    async fn whole(&self, id: SnapshotId) -> Result<Replicated> {
        let (inventory, stored) = inventory::read(&**self.vaults.primary(), id).await?;
        let objects: Vec<ObjectRef> = inventory.objects().copied().collect();
        let replicas = self.vaults.replicas().iter().map(|replica| self.complete(replica, id, &objects, &stored));
        let mut copied = Replicated::default();
        let mut failed = None;
        // Each region goes as far as it can: one that is down does not keep the other back.
        for result in futures::future::join_all(replicas).await {
            match result {
                Ok(done) => copied = copied.plus(done),
                Err(e) => failed = Some(e),
            }
        }
        failed.map_or(Ok(copied), Err)
    }

    async fn complete(
        &self,
        replica: &Arc<dyn Vault>,
        id: SnapshotId,
        objects: &[ObjectRef],
        inventory: &Storable,
    ) -> Result<Replicated> {
        let target = std::slice::from_ref(replica);
        let mut copied = stream::iter(objects)
            .map(|object| self.ensure(object, target))
            .buffer_unordered(REPLICATE_IN_FLIGHT)
            .try_fold(Replicated::default(), |sum, done| async move { Ok(sum.plus(done)) })
            .await?;
        if put_once(&**replica, &ObjectKey::Inventory(id), inventory).await? == PutOutcome::Written {
            copied = copied.plus(Replicated { objects: 1, bytes: inventory.len() as u64 });
        }
        self.record(id, replica.place().role).await?;
        Ok(copied)
    }

    async fn record(&self, id: SnapshotId, role: VaultRole) -> Result<()> {
        let now = self.clock.now();
        let marked = catalog::amend(&*self.catalog, id, |record| Ok(record.mark_complete(role, now))).await;
        match marked {
            Ok(_) => Ok(()),
            // The catalog is a cache: what it lacks is put back by `rebuild`.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                tracing::warn!(backup = %id, "the catalog has no record of a snapshot in the vaults; rebuild it");
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Puts an object of the primary vault into those of `replicas` that lack it; it is read once.
    async fn ensure(&self, object: &ObjectRef, replicas: &[Arc<dyn Vault>]) -> Result<Replicated> {
        let mut lacking = Vec::new();
        for replica in replicas {
            let found = replica.head(&object.key).await.context(format!(
                "look at {} in the {}",
                object.key,
                replica.place()
            ))?;
            match found {
                Some(meta) if meta.sha256 == Some(object.sha256) && meta.length == object.length => {}
                Some(_) => {
                    return Err(Error::corrupt(format!(
                        "{} in the {} is not the object that the primary vault holds",
                        object.key,
                        replica.place()
                    )));
                }
                None => lacking.push(replica),
            }
        }
        if lacking.is_empty() {
            return Ok(Replicated::default());
        }
        let primary = self.vaults.primary();
        let from = || format!("read {} in the {}", object.key, primary.place());
        let bytes = primary.get(&object.key).await.context(from())?;
        let body = Storable::fetched(bytes, object.sha256).context(from())?;
        let puts = lacking.into_iter().map(|replica| put_once(&**replica, &object.key, &body));
        let outcomes = futures::future::try_join_all(puts).await?;
        let written = outcomes.iter().filter(|o| **o == PutOutcome::Written).count() as u64;
        Ok(Replicated { objects: written, bytes: written * object.length })
    }

    /// Does everything that lost events should have done: settles backups whose function died, makes every snapshot of
    /// the primary vault complete in the others, and puts records back that the catalog lost.
    ///
    /// # Errors
    /// When the primary vault or the catalog cannot be listed. What is wrong with one snapshot is reported, and does not
    /// keep the others back.
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let settled = backup::settle_abandoned(&*self.catalog, &self.vaults, &*self.clock, None, None).await?;
        let mut report = Reconciled { settled, ..Reconciled::default() };
        for id in inventory::list(&**self.vaults.primary()).await? {
            report.snapshots += 1;
            report.note(id, self.reconcile_snapshot(id).await);
        }
        // Last, because it may take long where much is missing.
        for record in self.damaged().await? {
            report.note(record.id, self.repair(&record).await.map(Some));
        }
        Ok(report)
    }

    async fn reconcile_snapshot(&self, id: SnapshotId) -> Result<Option<Replicated>> {
        let record = match catalog::get(&*self.catalog, id).await.context("read the backup's record")? {
            Some(record) => record.value,
            None => rebuild::put_back(&*self.catalog, &self.vaults, self.vaults.primary(), id, &*self.clock).await?,
        };
        // A backup that was given up stays given up, even where a late write of its attempt committed it after all.
        if !is_pending(&record) || record.status == Status::Failed {
            return Ok(None);
        }
        self.snapshot(id).await.map(Some)
    }
}

fn is_pending(record: &SnapshotRecord) -> bool {
    record.status != Status::Completed || record.replicas.iter().any(|r| r.state == ReplicaState::Pending)
}

impl Reconciled {
    fn note(&mut self, id: SnapshotId, done: Result<Option<Replicated>>) {
        match done {
            Ok(None) => {}
            Ok(Some(copied)) => {
                self.copied = self.copied.plus(copied);
                self.repaired.push(id);
            }
            Err(e) => self.failed.push(format!("{id}: {e}")),
        }
    }
}

impl Replicated {
    fn plus(self, other: Self) -> Self {
        Self { objects: self.objects + other.objects, bytes: self.bytes + other.bytes }
    }
}

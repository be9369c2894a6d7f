//! A deployment in memory, its source included, and what must be true of it in the end.

use engine::catalog::{self, SnapshotRecord, Status, Trigger};
use engine::clock::{Clock, Timestamp};
use engine::error::Result;
use engine::inventory;
use engine::keyring::Keyring;
use engine::limits::{DEADLINE_MARGIN_MAX_S, LEASE_TTL_S};
use engine::ops::backup::{Backup, BackupOutcome, BackupRequest, BackupSettings};
use engine::ops::prune::{Prune, PruneRequest, Pruned};
use engine::ops::replicate::Replicate;
use engine::ops::restore::{Restore, Restored, Selection};
use engine::ops::rotate::{Rotate, RotationRecord};
use engine::ops::verify::{Level, VerificationRecord, Verify, VerifyReport, VerifyRequest, VerifySettings};
use engine::queue::BackupOrder;
use engine::retention::RetentionPolicy;
use engine::vault::{Vault, list_all};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use testkit::{MemorySource, MemoryStorage, MemoryTarget, World};

/// The seed of every scene.
pub(crate) const SEED: u64 = 7;

/// A deployment whose source is in memory too.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) source: MemorySource,
    pub(crate) storage: MemoryStorage,
    pub(crate) settings: BackupSettings,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let world = World::new(SEED).expect("a world");
        let rows = |n: usize| (0..n).map(|i| format!("{i}\trow {i}")).collect::<Vec<_>>();
        let tables = [("empty", 0), ("large", 95), ("small", 3)].map(|(name, n)| (name.to_owned(), rows(n)));
        let storage = MemoryStorage::new(world.faults.clone());
        let source = MemorySource::new(tables, world.faults.clone());
        let settings = BackupSettings {
            source: "database".to_owned(),
            sessions: 1,
            compression_level: 1,
            segment_blocks: 4,
            incremental: true,
            full_every_days: None,
            policies: Arc::default(),
        };
        Self { world, source, storage, settings }
    }

    /// With objects of Storage, which the database lists.
    pub(crate) fn with_objects() -> Self {
        let scene = Self::new();
        for (bucket, name, content) in
            [("avatars", "ana.png", "a portrait"), ("scans", "empty", ""), ("scans", "a/b", "b")]
        {
            scene.storage.write(bucket, name, content);
        }
        let source = scene.source.clone().with_storage(&scene.storage);
        Self { source, ..scene }
    }

    pub(crate) fn keyring(&self, region: usize) -> Arc<Keyring> {
        self.world.keyring(region)
    }

    pub(crate) async fn back_up(&self) -> Result<BackupOutcome> {
        self.run(BackupOrder::new(Trigger::Schedule), None).await
    }

    /// One invocation of the function, of some seconds if it is said.
    pub(crate) async fn run(&self, order: BackupOrder, seconds: Option<i64>) -> Result<BackupOutcome> {
        let backup = Backup {
            vaults: self.world.ports(),
            keyring: self.keyring(0),
            catalog: Arc::clone(&self.world.catalog) as _,
            source: Arc::new(self.source.clone()),
            storage: Some(Arc::new(self.storage.clone())),
            clock: Arc::clone(&self.world.clock) as _,
            entropy: Arc::clone(&self.world.entropy) as _,
            settings: self.settings.clone(),
            queue: Some(Arc::clone(&self.world.queue) as _),
        };
        // Ids are in the order in which they were made, and two are never made in one millisecond.
        self.world.clock.advance(Duration::from_millis(1));
        let deadline = seconds.map(|s| self.world.clock.now().plus_s(s));
        backup.run(BackupRequest { order, deadline }).await
    }

    pub(crate) fn replicate(&self) -> Replicate {
        Replicate {
            vaults: self.world.ports(),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock: Arc::clone(&self.world.clock) as _,
        }
    }

    /// With the clock of the scene.
    pub(crate) async fn prune(&self, policy: RetentionPolicy, dry_run: bool) -> Result<Pruned> {
        self.prune_at(Arc::clone(&self.world.clock) as _, policy, dry_run).await
    }

    pub(crate) async fn prune_at(
        &self,
        clock: Arc<dyn Clock>,
        policy: RetentionPolicy,
        dry_run: bool,
    ) -> Result<Pruned> {
        let prune = Prune {
            vaults: self.world.ports(),
            versions: self.world.versions(),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock,
            entropy: Arc::clone(&self.world.entropy) as _,
            policy,
        };
        prune.run(PruneRequest { run: None, dry_run, deadline: None }).await
    }

    /// A run that is asked for as said.
    pub(crate) async fn prune_by(&self, policy: RetentionPolicy, request: PruneRequest) -> Result<Pruned> {
        let prune = Prune {
            vaults: self.world.ports(),
            versions: self.world.versions(),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock: Arc::clone(&self.world.clock) as _,
            entropy: Arc::clone(&self.world.entropy) as _,
            policy,
        };
        prune.run(request).await
    }

    /// One run, of some seconds if it is said.
    pub(crate) async fn rotate(&self, seconds: Option<i64>) -> Result<Option<RotationRecord>> {
        self.rotate_at(Arc::clone(&self.world.clock) as _, seconds).await
    }

    pub(crate) async fn rotate_at(
        &self,
        clock: Arc<dyn Clock>,
        seconds: Option<i64>,
    ) -> Result<Option<RotationRecord>> {
        let rotate = Rotate {
            vaults: self.world.ports(),
            keyring: self.keyring(0),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock,
            entropy: Arc::clone(&self.world.entropy) as _,
        };
        let deadline = seconds.map(|s| self.world.clock.now().plus_s(DEADLINE_MARGIN_MAX_S + s));
        rotate.run(deadline).await
    }

    /// Runs something until so many calls were made, and no further: whoever drops it then kills it. What it gave, if it came to
    /// its end before.
    pub(crate) async fn killed_at<T>(&self, step: u64, mut run: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        loop {
            tokio::select! {
                biased;
                done = &mut run => return Some(done),
                () = tokio::task::yield_now() => if self.world.faults.steps() >= step { return None },
            }
        }
    }

    pub(crate) async fn verify(&self, level: Level) -> Result<VerifyReport> {
        self.verify_by(level, None).await
    }

    pub(crate) async fn verify_by(&self, level: Level, deadline: Option<Timestamp>) -> Result<VerifyReport> {
        self.verify_at(Arc::clone(&self.world.clock) as _, level, deadline).await
    }

    pub(crate) async fn verify_at(
        &self,
        clock: Arc<dyn Clock>,
        level: Level,
        deadline: Option<Timestamp>,
    ) -> Result<VerifyReport> {
        let verify = Verify {
            vaults: self.world.ports(),
            versions: self.world.versions(),
            keyrings: [0, 1, 2].map(|region| self.keyring(region)),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock,
            entropy: Arc::clone(&self.world.entropy) as _,
            settings: VerifySettings { rotation_days: 30, retention_days: 3 },
        };
        verify.run(VerifyRequest { level, deadline }).await
    }

    /// The runs of `verify`, newest first.
    pub(crate) async fn verifications(&self) -> Vec<VerificationRecord> {
        catalog::list(&*self.world.catalog, None, 100).await.expect("lists").records
    }

    pub(crate) fn role(&self, vault: usize) -> String {
        self.world.vaults[vault].place().role.to_string()
    }

    /// One event for each object of the primary vault. What fails comes again, later, by the reconciler.
    pub(crate) async fn deliver_events(&self) {
        let Ok(keys) = list_all(&*self.world.vaults[0], "v1/").await else { return };
        for key in keys {
            let _ = self.replicate().landed(key.parse().expect("a key of ours")).await;
        }
    }

    pub(crate) async fn restore(&self, region: usize, selection: Selection, target: &MemoryTarget) -> Result<Restored> {
        self.restore_to(region, selection, target, &MemoryStorage::new(self.world.faults.clone())).await
    }

    /// Also the objects.
    pub(crate) async fn restore_to(
        &self,
        region: usize,
        selection: Selection,
        target: &MemoryTarget,
        storage: &MemoryStorage,
    ) -> Result<Restored> {
        let restore = Restore {
            vault: Arc::clone(&self.world.vaults[region]) as _,
            keyring: self.keyring(region),
            target: Arc::new(target.clone()),
            storage: Some(Arc::new(storage.clone())),
            sessions: 1,
            policies: Arc::clone(&self.settings.policies),
            clock: Arc::clone(&self.world.clock) as _,
            catalog: Some(Arc::clone(&self.world.catalog) as _),
            orders: None,
            counters: Arc::default(),
            journal: None,
        };
        restore.run(selection).await
    }

    pub(crate) async fn records(&self) -> Vec<SnapshotRecord> {
        catalog::list(&*self.world.catalog, None, 100).await.expect("lists").records
    }

    /// No inventory, in any vault, names an object that is not there.
    pub(crate) async fn require_whole_inventories(&self, what: &str) {
        for vault in &self.world.vaults {
            for id in inventory::list(&**vault).await.expect("lists") {
                let (inventory, _) = inventory::read(&**vault, id).await.expect("reads");
                for object in inventory.objects() {
                    let found = vault.head(&object.key).await.expect("looks");
                    let right = found.is_some_and(|m| m.sha256 == Some(object.sha256) && m.length == object.length);
                    assert!(right, "{what}: {} in the {} is not there", object.key, vault.place());
                }
            }
        }
    }

    /// Every record is settled; every one that is completed restores from each vault alone.
    pub(crate) async fn require_right_end(&self, what: &str) {
        self.require_whole_inventories(what).await;
        let records = self.records().await;
        assert!(records.iter().any(|r| r.status == Status::Completed), "{what}: no backup at all");
        for record in records {
            assert!(record.is_settled(), "{what}: {} is {:?} {:?}", record.id, record.status, record.phase);
            if record.status == Status::Failed {
                assert!(record.error.is_some(), "{what}: failed without a reason");
                continue;
            }
            for region in 0..3 {
                let target = MemoryTarget::new(self.world.faults.clone());
                let storage = MemoryStorage::new(self.world.faults.clone());
                self.restore_to(region, Selection::Snapshot(record.id), &target, &storage)
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e}"));
                let mut wanted = self.source.rows();
                wanted.retain(|_, rows| !rows.is_empty());
                assert_eq!(target.rows(), wanted, "{what}");
                assert_eq!(storage.contents(), self.storage.contents(), "{what}");
            }
        }
    }

    /// Whatever was interrupted: the schedule comes again, leases run out, the reconciler runs.
    pub(crate) async fn recover(&self) {
        self.world.faults.heal();
        self.world.clock.advance(Duration::from_secs(LEASE_TTL_S as u64 * 2));
        self.back_up().await.expect("the next backup works");
        self.replicate().reconcile().await.expect("the reconciler works");
    }
}

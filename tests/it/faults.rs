//! Fails every call of every operation, one at a time: before its effect, after its effect, and for good. Then everything
//! works again, and the end state must be right.
//!
//! The order of calls is that of one thread, so a number means the same call in each run; the seed is fixed.

use engine::catalog::{Catalog, SnapshotRecord, Status, Trigger};
use engine::error::{ErrorKind, Result};
use engine::inventory;
use engine::keyring::Keyring;
use engine::limits::LEASE_TTL_S;
use engine::ops::backup::{Backup, BackupOutcome, BackupRequest, BackupSettings};
use engine::ops::rebuild::rebuild;
use engine::ops::replicate::Replicate;
use engine::ops::restore::{Restore, Restored, Selection};
use engine::vault::{Vault, list_all};
use std::sync::Arc;
use std::time::Duration;
use testkit::{MemoryCatalog, MemorySource, MemoryTarget, When, World};

const SEED: u64 = 7;

/// A deployment whose source is in memory too.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) source: MemorySource,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let world = World::new(SEED).expect("a world");
        let rows = |n: usize| (0..n).map(|i| format!("{i}\trow {i}")).collect::<Vec<_>>();
        let tables = [("empty", 0), ("large", 95), ("small", 3)].map(|(name, n)| (name.to_owned(), rows(n)));
        let source = MemorySource::new(tables, world.faults.clone());
        Self { world, source }
    }

    fn keyring(&self, region: usize) -> Arc<Keyring> {
        Arc::new(Keyring::new(Arc::clone(&self.world.keys[region]) as _, Arc::clone(&self.world.entropy) as _))
    }

    pub(crate) async fn back_up(&self) -> Result<BackupOutcome> {
        let settings =
            BackupSettings { source: "database".to_owned(), sessions: 1, compression_level: 1, segment_blocks: 4 };
        let backup = Backup {
            vaults: self.world.ports(),
            keyring: self.keyring(0),
            catalog: Arc::clone(&self.world.catalog) as _,
            source: Arc::new(self.source.clone()),
            clock: Arc::clone(&self.world.clock) as _,
            entropy: Arc::clone(&self.world.entropy) as _,
            settings,
        };
        backup.run(BackupRequest { id: None, trigger: Trigger::Schedule, deadline: None }).await
    }

    fn replicate(&self) -> Replicate {
        Replicate {
            vaults: self.world.ports(),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock: Arc::clone(&self.world.clock) as _,
        }
    }

    /// One event for each object of the primary vault. What fails comes again, later, by the reconciler.
    async fn deliver_events(&self) {
        let Ok(keys) = list_all(&*self.world.vaults[0], "v1/").await else { return };
        for key in keys {
            let _ = self.replicate().landed(key.parse().expect("a key of ours")).await;
        }
    }

    pub(crate) async fn restore(&self, region: usize, selection: Selection, target: &MemoryTarget) -> Result<Restored> {
        let restore = Restore {
            vault: Arc::clone(&self.world.vaults[region]) as _,
            keyring: self.keyring(region),
            target: Arc::new(target.clone()),
            sessions: 1,
        };
        restore.run(selection).await
    }

    async fn records(&self) -> Vec<SnapshotRecord> {
        self.world.catalog.list(None, 100).await.expect("lists").records
    }

    /// No inventory, in any vault, names an object that is not there.
    async fn require_whole_inventories(&self, what: &str) {
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
    async fn require_right_end(&self, what: &str) {
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
                self.restore(region, Selection::Snapshot(record.id), &target)
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e}"));
                let mut wanted = self.source.rows();
                wanted.retain(|_, rows| !rows.is_empty());
                assert_eq!(target.rows(), wanted, "{what}");
            }
        }
    }

    /// Whatever was interrupted: the schedule comes again, leases run out, the reconciler runs.
    async fn recover(&self) {
        self.world.faults.heal();
        self.world.clock.advance(Duration::from_secs(LEASE_TTL_S as u64 * 2));
        self.back_up().await.expect("the next backup works");
        self.replicate().reconcile().await.expect("the reconciler works");
    }
}

#[tokio::test]
async fn a_backup_and_its_replication_survive_the_failure_of_every_call() {
    let clean = Scene::new();
    clean.back_up().await.expect("backs up");
    clean.deliver_events().await;
    let steps = clean.world.faults.steps();
    clean.require_right_end("without faults").await;
    assert!(steps > 40, "the loop covers something: {steps} calls");

    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        for step in 1..=steps {
            for when in When::ALL {
                let what = format!("seed {SEED}, call {step} of {steps}, {when:?}, {kind}");
                let scene = Scene::new();
                scene.world.faults.arm(step, when, kind);
                let made = scene.back_up().await;
                scene.deliver_events().await;
                scene.world.faults.heal();
                scene.require_whole_inventories(&what).await;
                if let Ok(BackupOutcome::Busy(why)) = &made {
                    panic!("{what}: nobody else was there: {why}");
                }
                scene.recover().await;
                scene.require_right_end(&what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_restore_survives_the_failure_of_every_call() {
    let scene = Scene::new();
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let before = scene.world.faults.steps();
    let target = MemoryTarget::new(scene.world.faults.clone());
    scene.restore(1, Selection::Newest, &target).await.expect("restores");
    let steps = scene.world.faults.steps() - before;
    let wanted = target.rows();

    for step in 1..=steps {
        for when in When::ALL {
            let what = format!("seed {SEED}, call {step} of {steps}, {when:?}");
            let target = MemoryTarget::new(scene.world.faults.clone());
            scene.world.faults.arm(scene.world.faults.steps() + step, when, ErrorKind::Unavailable);
            let first = scene.restore(1, Selection::Newest, &target).await;
            scene.world.faults.heal();
            // A restore whose last answer was lost has ended, and refuses to be begun again.
            if first.is_err() && !target.is_finished() {
                scene.restore(1, Selection::Newest, &target).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            }
            assert_eq!(target.rows(), wanted, "{what}");
        }
    }
}

#[tokio::test]
async fn a_lost_catalog_is_rebuilt_from_any_one_vault() {
    let scene = Scene::new();
    for _ in 0..3 {
        scene.back_up().await.expect("backs up");
    }
    scene.deliver_events().await;
    let before = scene.records().await;
    for region in 0..3 {
        let empty = MemoryCatalog::new(scene.world.faults.clone());
        let ports = scene.world.ports();
        let added = rebuild(&empty, &ports, &ports.all()[region], &*scene.world.clock).await.expect("rebuilds");
        assert_eq!(added.len(), 3);
        let after = empty.list(None, 100).await.expect("lists").records;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((after.id, after.status, &after.summary), (before.id, Status::Completed, &before.summary));
            assert_eq!(after.started_at, before.started_at);
        }
        let again = rebuild(&empty, &ports, &ports.all()[region], &*scene.world.clock).await.expect("rebuilds");
        assert!(again.is_empty(), "what is there already stays");
    }
}

#[tokio::test]
async fn a_backup_that_is_killed_at_any_call_is_settled_by_the_next() {
    let clean = Scene::new();
    clean.back_up().await.expect("backs up");
    let steps = clean.world.faults.steps();
    for step in 1..=steps {
        let what = format!("seed {SEED}, killed at call {step} of {steps}");
        let scene = Scene::new();
        {
            // Dropping the future is what a kill looks like: nothing of it runs any more.
            let run = scene.back_up();
            tokio::pin!(run);
            while scene.world.faults.steps() < step {
                tokio::select! {
                    biased;
                    made = &mut run => { made.expect("backs up"); break; }
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        scene.require_whole_inventories(&what).await;
        scene.recover().await;
        scene.require_right_end(&what).await;
    }
}

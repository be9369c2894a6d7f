//! Backups that copy only what changed: what they use again, when they do not, and how one goes on after an interruption.
//! All in memory, where every call is seen.

use crate::scene::{SEED, Scene};
use engine::catalog::{SnapshotRecord, Status, Trigger};
use engine::error::ErrorKind;
use engine::layout::ObjectKey;
use engine::limits::HAND_OVERS_IDLE_MAX;
use engine::ops::backup::BackupOutcome;
use engine::queue::BackupOrder;
use engine::vault::Vault;
use std::time::Duration;
use testkit::When;

impl Scene {
    /// A backup that is made in one invocation.
    pub(crate) async fn committed(&self) -> SnapshotRecord {
        match self.back_up().await.expect("backs up") {
            BackupOutcome::Committed(record) => *record,
            other => panic!("not committed: {other:?}"),
        }
    }

    pub(crate) async fn require_restorable(&self, what: &str) {
        self.deliver_events().await;
        self.replicate().reconcile().await.expect("the reconciler works");
        self.require_right_end(what).await;
    }

    /// The newest snapshot, restored from each vault, is the source as it is now.
    async fn require_newest_is_source(&self, what: &str) {
        self.deliver_events().await;
        for region in 0..3 {
            let target = testkit::MemoryTarget::new(self.world.faults.clone());
            self.restore(region, engine::ops::restore::Selection::Newest, &target)
                .await
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            let mut wanted = self.source.rows();
            wanted.retain(|_, rows| !rows.is_empty());
            assert_eq!(target.rows(), wanted, "{what}");
        }
    }

    /// Attempts of the packs that the newest inventory names.
    async fn attempts_of_newest(&self) -> Vec<String> {
        let ids = engine::inventory::list(&*self.world.vaults[0]).await.expect("lists");
        let newest = *ids.last().expect("a snapshot");
        let (inventory, _) = engine::inventory::read(&*self.world.vaults[0], newest).await.expect("reads");
        let mut attempts: Vec<String> = inventory
            .packs
            .iter()
            .map(|p| match p.key {
                ObjectKey::Pack(attempt, _) => attempt.to_string(),
                other => panic!("{other} is no pack"),
            })
            .collect();
        attempts.dedup();
        attempts
    }
}

#[tokio::test]
async fn a_backup_of_an_unchanged_source_copies_nothing_and_restores_alone() {
    let scene = Scene::new();
    let first = scene.committed().await;
    assert!(first.full_reason.as_deref().is_some_and(|why| why.contains("no earlier backup")), "{first:?}");
    assert_eq!((first.progress.segments.segments_copied, first.progress.segments.segments_reused), (4, 0));

    let second = scene.committed().await;
    let segments = second.progress.segments;
    assert_eq!((segments.segments_copied, segments.bytes_copied), (0, 0));
    assert_eq!((segments.segments_reused, segments.bytes_reused), (4, first.progress.bytes));
    assert_eq!(
        (segments.segments_sampled, segments.bytes_sampled),
        (4, first.progress.bytes),
        "all four fit the sample"
    );
    assert_eq!((second.full_reason, second.progress.bytes_stored), (None, 0));
    let (first, second) = (first.summary.expect("a summary"), second.summary.expect("a summary"));
    assert_eq!((second.rows, second.bytes), (first.rows, first.bytes));
    scene.require_restorable("unchanged").await;
}

#[tokio::test]
async fn only_the_segments_that_changed_are_copied_and_packs_are_shared() {
    let scene = Scene::new();
    scene.committed().await;
    scene.source.write("large", 50, "changed");
    scene.source.write("large", 95, "added");
    scene.source.write("large", 96, "added too");
    let second = scene.committed().await.progress.segments;
    assert_eq!(
        (second.segments_copied, second.segments_reused),
        (2, 2),
        "the second and the last of three, of `large`"
    );
    assert_eq!(scene.attempts_of_newest().await.len(), 2);
    scene.require_newest_is_source("changed").await;

    // A third that changes the rest needs no pack of the first any more.
    scene.source.write("large", 0, "changed");
    scene.source.write("small", 0, "changed");
    scene.committed().await;
    assert_eq!(scene.attempts_of_newest().await.len(), 2);
    scene.require_newest_is_source("changed again").await;
    assert_eq!(scene.source.lineage().len(), 3, "who copied what is still used, and the newest");
    scene.committed().await;
    assert_eq!(scene.source.lineage().len(), 3, "the first is forgotten");
}

#[tokio::test]
async fn a_copy_of_the_disk_never_takes_for_its_own_what_it_never_had() {
    let mut scene = Scene::new();
    scene.committed().await;
    let copy = scene.source.copy_of_disk();
    scene.source.write("large", 5, "in the original");
    scene.committed().await;

    // The same transaction ids in the same places, and other rows.
    scene.source = copy;
    scene.source.write("large", 5, "in the copy");
    let third = scene.committed().await;
    assert_eq!(third.progress.segments.segments_copied, 1, "what the first attempt copied is used again");
    scene.require_newest_is_source("the copy").await;
}

#[tokio::test]
async fn a_source_that_cannot_remember_is_read_whole_and_the_status_says_why() {
    let scene = Scene::new();
    scene.source.forget();
    for _ in 0..2 {
        let record = scene.committed().await;
        assert_eq!(record.full_reason.as_deref(), Some("it cannot remember"));
        assert!(record.warnings.iter().any(|w| w.code == "no_lineage"), "{:?}", record.warnings);
        assert_eq!(record.progress.segments.segments_reused, 0);
    }
    scene.require_restorable("without a lineage").await;
}

#[tokio::test]
async fn incremental_can_be_switched_off_and_a_full_read_comes_in_time() {
    let mut scene = Scene::new();
    scene.committed().await;
    scene.settings.incremental = false;
    let off = scene.committed().await;
    assert_eq!(off.full_reason.as_deref(), Some("BACKUP_INCREMENTAL is off"));
    assert_eq!(off.progress.segments.segments_reused, 0);

    scene.settings.incremental = true;
    scene.settings.full_every_days = Some(7);
    let on = scene.committed().await;
    assert_eq!((on.full_reason, on.progress.segments.segments_copied), (None, 0));
    scene.world.clock.advance(Duration::from_secs(8 * 86_400));
    scene.source.write("small", 0, "changed");
    let full = scene.committed().await;
    assert!(full.full_reason.as_deref().is_some_and(|why| why.contains("BACKUP_FULL_EVERY_DAYS")), "{full:?}");
    assert_eq!(full.progress.segments.segments_reused, 0);
    scene.require_newest_is_source("full again").await;
}

#[tokio::test]
async fn rows_that_changed_without_a_trace_are_found_by_the_sample() {
    let scene = Scene::new();
    scene.committed().await;
    scene.source.tamper("large", 5, "changed by no transaction");
    let record = scene.committed().await;
    let warning = record.warnings.iter().find(|w| w.code == "sample_differs").expect("a warning");
    assert!(warning.message.contains("\"public\".\"large\" from block 0"), "{warning:?}");
    assert_eq!(record.full_reason.as_ref(), Some(&warning.message));
    let segments = record.progress.segments;
    assert_eq!((segments.segments_copied, segments.segments_reused), (4, 0));
    assert_eq!(scene.source.lineage().len(), 1, "the earlier attempts are forgotten");
    scene.require_newest_is_source("tampered").await;
}

#[tokio::test]
async fn a_pack_that_is_gone_or_changed_is_not_named_by_a_new_inventory() {
    for damage in ["gone", "changed"] {
        let scene = Scene::new();
        scene.committed().await;
        let vault = &scene.world.vaults[0];
        let pack = vault.objects().into_keys().find(|k| k.starts_with("v1/packs/")).expect("a pack");
        let bytes = vault.remove(&pack).expect("was there");
        if damage == "changed" {
            vault.plant(&pack, bytes.slice(1..));
        }
        let record = scene.committed().await;
        assert!(record.full_reason.as_deref().is_some_and(|why| why.contains(&pack)), "{damage}: {record:?}");
        assert_eq!(record.progress.segments.segments_reused, 0, "{damage}");
        scene.require_newest_is_source(damage).await;
    }
}

#[tokio::test]
async fn an_earlier_backup_that_cannot_be_opened_is_done_without() {
    let scene = Scene::new();
    scene.committed().await;
    let vault = &scene.world.vaults[0];
    let key = vault.objects().into_keys().find(|k| k.ends_with("/manifest")).expect("a manifest");
    let bytes = vault.remove(&key).expect("was there");
    vault.plant(&key, bytes.slice(..bytes.len() - 1));
    let record = scene.committed().await;
    assert!(record.warnings.iter().any(|w| w.code == "earlier_unreadable"), "{:?}", record.warnings);
    assert_eq!(record.progress.segments.segments_reused, 0);
    scene.require_newest_is_source("unreadable").await;
}

/// A scene whose backup needs several invocations.
pub(crate) fn large_scene() -> Scene {
    let scene = Scene::new();
    for place in 0..30_000 {
        scene.source.write("large", place, &format!("{place}\trow"));
    }
    scene
}

/// Runs orders until the backup is committed or fails; `meanwhile` happens between two invocations.
async fn run_to_the_end(scene: &Scene, meanwhile: impl Fn(&Scene, u32)) -> engine::error::Result<SnapshotRecord> {
    let mut order = BackupOrder::new(Trigger::Schedule);
    for invocation in 1.. {
        match scene.run(order, Some(6)).await? {
            BackupOutcome::Committed(record) => return Ok(*record),
            BackupOutcome::HandedOver(record) => {
                assert_eq!((record.status, record.hand_overs.count), (Status::InProgress, invocation));
                order = scene.world.queue.take().expect("an order");
                assert_eq!((order.backup_id, order.hand_overs), (Some(record.id), invocation));
                meanwhile(scene, invocation);
            }
            other => panic!("{other:?}"),
        }
    }
    unreachable!("it ends")
}

#[tokio::test]
async fn a_backup_that_needs_several_invocations_is_one_snapshot_of_the_last() {
    let scene = large_scene();
    scene.world.faults.take_time("source", &scene.world.clock, Duration::from_millis(50));
    let record = run_to_the_end(&scene, |scene, invocation| {
        scene.source.write("large", 29_999, &format!("changed after invocation {invocation}"));
    })
    .await
    .expect("is committed");
    assert!(record.hand_overs.count >= 2, "{:?}", record.hand_overs);
    assert!(scene.attempts_of_newest().await.len() > 2, "packs of several attempts");
    scene.require_newest_is_source("after hand-overs").await;
    assert_eq!(scene.world.queue.take(), None);

    // An order that is delivered again does nothing.
    let again = BackupOrder { backup_id: Some(record.id), hand_overs: 1, ..BackupOrder::new(Trigger::Schedule) };
    let outcome = scene.run(again, None).await.expect("no error");
    assert!(matches!(outcome, BackupOutcome::Busy(_)), "{outcome:?}");
    scene.require_restorable("after hand-overs").await;
}

#[tokio::test]
async fn a_source_that_changes_faster_than_it_is_copied_fails_with_figures() {
    let scene = large_scene();
    let everything_changes = |scene: &Scene, invocation: u32| {
        for place in (0..30_000).step_by(10) {
            scene.source.write("large", place, &format!("{invocation}"));
        }
    };
    let error = run_to_the_end(&scene, everything_changes).await.expect_err("gives up");
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains("changes faster than it is copied"), "{error}");
    let record = &scene.records().await[0];
    assert_eq!((record.status, record.error.as_deref()), (Status::Failed, Some(error.to_string().as_str())));
    assert!(record.hand_overs.count >= HAND_OVERS_IDLE_MAX, "{:?}", record.hand_overs);

    // What was stored is of use all the same, once there is more time.
    let record = scene.committed().await;
    assert!(record.progress.segments.segments_reused > 0);
    scene.require_newest_is_source("in the end").await;
}

#[tokio::test]
async fn a_killed_backup_is_picked_up_by_the_next_from_its_checkpoints() {
    let scene = large_scene();
    let BackupOutcome::HandedOver(_) = scene.run(BackupOrder::new(Trigger::Schedule), Some(6)).await.expect("runs")
    else {
        panic!("it needs more than one invocation");
    };
    // Whoever should go on is killed, and its order with it.
    scene.world.queue.take().expect("an order");
    scene.world.clock.advance(Duration::from_secs(600));
    let record = scene.committed().await;
    assert_eq!(record.full_reason, None);
    assert!(record.progress.segments.segments_reused > 0, "{:?}", record.progress);
    scene.require_restorable("after a kill").await;
}

#[tokio::test]
async fn an_incremental_backup_survives_the_failure_of_every_call() {
    let begin = async || {
        let scene = Scene::new();
        scene.committed().await;
        scene.deliver_events().await;
        scene.source.write("large", 50, "changed");
        scene
    };
    let clean = begin().await;
    let before = clean.world.faults.steps();
    clean.committed().await;
    clean.deliver_events().await;
    let steps = clean.world.faults.steps() - before;
    clean.require_newest_is_source("without faults").await;
    assert!(steps > 40, "the loop covers something: {steps} calls");

    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        for step in 1..=steps {
            for when in When::ALL {
                let what = format!("seed {SEED}, call {step} of {steps}, {when:?}, {kind}");
                let scene = begin().await;
                scene.world.faults.arm(scene.world.faults.steps() + step, when, kind);
                let made = scene.back_up().await;
                scene.deliver_events().await;
                scene.world.faults.heal();
                scene.require_whole_inventories(&what).await;
                if let Ok(BackupOutcome::Busy(why)) = &made {
                    panic!("{what}: nobody else was there: {why}");
                }
                scene.recover().await;
                scene.require_newest_is_source(&what).await;
            }
        }
    }
}

#[tokio::test]
async fn the_checkpoints_of_another_source_or_of_an_older_attempt_are_left_alone() {
    let mut scene = large_scene();
    scene.run(BackupOrder::new(Trigger::Schedule), Some(6)).await.expect("runs");
    scene.world.clock.advance(Duration::from_secs(600));
    scene.settings.source = "other".to_owned();
    let other = scene.committed().await;
    assert_eq!(other.progress.segments.segments_reused, 0);
    let keys = scene.world.vaults[0].objects().into_keys();
    let checkpoints: Vec<String> = keys.filter(|k| k.starts_with("v1/checkpoints/")).collect();
    assert!(!checkpoints.is_empty());
    // They are replicated like everything else, and opened with the key of checkpoints only.
    scene.deliver_events().await;
    for vault in &scene.world.vaults {
        assert!(vault.head(&checkpoints[0].parse().expect("a key")).await.expect("looks").is_some());
    }
}

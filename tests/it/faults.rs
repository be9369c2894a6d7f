//! Fails every call of every operation, one at a time: before its effect, after its effect, and for good. Then everything
//! works again, and the end state must be right.
//!
//! The order of calls is that of one thread, so a number means the same call in each run; the seed is fixed.

use crate::scene::{SEED, Scene};
use engine::catalog::{self, SnapshotRecord, Status};
use engine::error::ErrorKind;
use engine::ops::backup::BackupOutcome;
use engine::ops::rebuild::rebuild;
use engine::ops::restore::Selection;
use testkit::{MemoryCatalog, MemoryStorage, MemoryTarget, When};

#[tokio::test]
async fn a_backup_and_its_replication_survive_the_failure_of_every_call() {
    let clean = Scene::with_objects();
    clean.back_up().await.expect("backs up");
    clean.deliver_events().await;
    let steps = clean.world.faults.steps();
    clean.require_right_end("without faults").await;
    assert!(steps > 40, "the loop covers something: {steps} calls");

    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        for step in 1..=steps {
            for when in When::ALL {
                let what = format!("seed {SEED}, call {step} of {steps}, {when:?}, {kind}");
                let scene = Scene::with_objects();
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
async fn a_restore_survives_the_failure_of_every_call_and_its_own_death_at_each() {
    let scene = Scene::with_objects();
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let before = scene.world.faults.steps();
    let target = MemoryTarget::new(scene.world.faults.clone());
    let objects = MemoryStorage::new(scene.world.faults.clone());
    scene.restore_to(1, Selection::Newest, &target, &objects).await.expect("restores");
    assert_eq!(objects.contents(), scene.storage.contents());
    let steps = scene.world.faults.steps() - before;
    let wanted = target.rows();

    for step in 1..=steps {
        for when in When::ALL.map(Some).into_iter().chain([None]) {
            let what = format!("seed {SEED}, call {step} of {steps}, {when:?}");
            let target = MemoryTarget::new(scene.world.faults.clone());
            let objects = MemoryStorage::new(scene.world.faults.clone());
            let at = scene.world.faults.steps() + step;
            let run = scene.restore_to(1, Selection::Newest, &target, &objects);
            let first = match when {
                Some(when) => {
                    scene.world.faults.arm(at, when, ErrorKind::Unavailable);
                    Some(Box::pin(run).await)
                }
                None => scene.killed_at(at, Box::pin(run).as_mut()).await,
            };
            scene.world.faults.heal();
            // A restore whose last answer was lost has ended, and refuses to be begun again.
            if first.is_none_or(|first| first.is_err()) && !target.is_finished() {
                scene
                    .restore_to(1, Selection::Newest, &target, &objects)
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e}"));
            }
            assert_eq!(target.rows(), wanted, "{what}");
            assert_eq!(objects.contents(), scene.storage.contents(), "{what}");
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
        let after = catalog::list::<SnapshotRecord>(&empty, None, 100).await.expect("lists").records;
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
    let clean = Scene::with_objects();
    clean.back_up().await.expect("backs up");
    let steps = clean.world.faults.steps();
    for step in 1..=steps {
        let what = format!("seed {SEED}, killed at call {step} of {steps}");
        let scene = Scene::with_objects();
        if let Some(made) = scene.killed_at(step, std::pin::pin!(scene.back_up())).await {
            made.expect("backs up");
        }
        scene.require_whole_inventories(&what).await;
        scene.recover().await;
        scene.require_right_end(&what).await;
    }
}

//! What people ask for, in memory: each request has its record at once, is done once however often it is sent or delivered, waits for
//! its turn, can be stopped, and ends one way or the other.

use crate::incremental::large_scene;
use crate::scene::Scene;
use engine::catalog::{self, CANCELLED, Drilled, Pin, SnapshotRecord, Status, Trigger};
use engine::claim::{self, Answered, ClaimId, Claimed};
use engine::clock::{Clock, Timestamp};
use engine::contents::ContentsId;
use engine::environment::Environment;
use engine::error::{ErrorKind, Result};
use engine::id::{PruneId, RestoreId, SnapshotId};
use engine::limits::{CLAIM_KEPT_S, LEASE_TTL_S, ORDER_LOST_S, RESTORE_IDLE_MAX, TURN_WAIT_MAX_S};
use engine::ops::backup::{self, Asked, BackupOutcome};
use engine::ops::prune::{self, PruneOutcome, PruneRequest};
use engine::ops::restore::{
    self, Ordered, Restore, RestoreOutcome, RestorePhase, RestoreRecord, RestoreWish, Wanted, confirmation,
};
use engine::queue::{BackupOrder, RestoreOrder};
use engine::quota;
use engine::retention::RetentionPolicy;
use engine::scope::Scope;
use engine::stage::Sha256;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use testkit::{MemoryStorage, MemoryTarget, When};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Scene {
    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    fn new_id(&self) -> SnapshotId {
        self.world.clock.advance(Duration::from_millis(1));
        SnapshotId::new(&*self.world.clock, &*self.world.entropy).expect("an id")
    }

    async fn ask(&self, id: SnapshotId) -> Result<SnapshotRecord> {
        let places = testkit::world::places();
        let asked = Asked { id, source: "database", trigger: Trigger::Manual, part: None, by: "ana" };
        backup::request(&*self.world.catalog, &*self.world.queue, &places, asked, self.now()).await
    }

    async fn record_of(&self, id: SnapshotId) -> SnapshotRecord {
        backup::record(&*self.world.catalog, id).await.expect("a record")
    }

    /// A backup that is whole everywhere.
    async fn good(&self) -> SnapshotId {
        let Ok(BackupOutcome::Committed(record)) = self.back_up().await else { panic!("committed") };
        self.deliver_events().await;
        self.world.clock.advance(Duration::from_secs(60));
        record.id
    }

    async fn ask_restore(&self, id: RestoreId, wish: &RestoreWish) -> Result<RestoreRecord> {
        let (catalog, queue) = (&*self.world.catalog, &*self.world.restores);
        restore::request(catalog, queue, id, wish, "ana", Some(600), self.now()).await
    }

    async fn restore_record(&self, id: RestoreId) -> RestoreRecord {
        restore::record(&*self.world.catalog, id).await.expect("a record")
    }

    /// One invocation of `restore` with an order, of some seconds if it is said.
    async fn take_up(
        &self,
        order: RestoreOrder,
        target: &MemoryTarget,
        seconds: Option<i64>,
    ) -> Result<RestoreOutcome> {
        let ordered = Ordered {
            catalog: Arc::clone(&self.world.catalog) as _,
            queue: Arc::clone(&self.world.restores) as _,
            clock: Arc::clone(&self.world.clock) as _,
            entropy: Arc::clone(&self.world.entropy) as _,
        };
        let deadline = seconds.map(|s| self.now().plus_s(s));
        let make = async |record: RestoreRecord| {
            let region = testkit::world::REGIONS.iter().position(|r| *r == record.region).expect("a region");
            Ok(Restore {
                vault: Arc::clone(&self.world.vaults[region]) as _,
                keyring: self.keyring(region),
                target: Arc::new(target.clone()),
                storage: Some(Arc::new(MemoryStorage::new(self.world.faults.clone()))),
                sessions: 1,
                policies: Arc::default(),
                clock: Arc::clone(&self.world.clock) as _,
                catalog: Some(Arc::clone(&self.world.catalog) as _),
                orders: None,
                counters: Arc::default(),
                journal: None,
            })
        };
        ordered.run(order, deadline, make).await
    }
}

/// The tables of the source that have rows.
fn filled(scene: &Scene) -> BTreeMap<String, Vec<String>> {
    scene.source.rows().into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
}

fn wish(wanted: Wanted, target_environment: Environment) -> RestoreWish {
    RestoreWish {
        wanted,
        target_environment,
        restore_point: None,
        include: None,
        exclude: None,
        region: None,
        masked: target_environment != Environment::Production,
        confirmation: None,
    }
}

fn restore_id(scene: &Scene) -> RestoreId {
    scene.new_id().to_string().parse().expect("an id")
}

#[tokio::test]
async fn a_backup_that_is_asked_for_has_a_record_at_once_and_is_made_once() {
    let scene = Scene::new();
    let id = scene.new_id();
    for _ in 0..2 {
        let record = scene.ask(id).await.expect("asks");
        assert_eq!((record.id, record.status, record.requested_by.as_deref()), (id, Status::Pending, Some("ana")));
    }
    let (first, second) = (scene.world.queue.take().expect("an order"), scene.world.queue.take().expect("another"));
    assert!(matches!(scene.run(first, None).await, Ok(BackupOutcome::Committed(record)) if record.id == id));
    assert!(matches!(scene.run(second, None).await, Ok(BackupOutcome::Busy(_))));
    assert_eq!(scene.records().await.len(), 1);
    assert_eq!(scene.record_of(id).await.requested_by.as_deref(), Some("ana"));
    // Asked once more, after the answer was lost for long: nothing is ordered again.
    assert_ne!(scene.ask(id).await.expect("asks").status, Status::Pending);
    assert_eq!(scene.world.queue.take(), None);
}

#[tokio::test]
async fn what_is_inside_a_backup_is_kept_beside_its_record_and_made_again_by_verify() {
    use engine::ops::verify::Level;
    let scene = Scene::with_objects();
    let id = scene.good().await;
    let kept = || async { catalog::get(&*scene.world.catalog, ContentsId(id)).await.expect("reads") };
    let contents = kept().await.expect("is kept").value;
    let rows: BTreeMap<&str, u64> = contents.tables.iter().map(|t| (t.name.as_str(), t.rows)).collect();
    assert_eq!(rows, BTreeMap::from([("empty", 0), ("large", 95), ("small", 3)]));
    assert!(contents.tables[0].bytes > contents.tables[1].bytes && contents.tables_total == 3);
    let buckets: Vec<_> = contents.buckets.iter().map(|b| (b.bucket.as_str(), b.objects)).collect();
    assert_eq!(buckets, [("avatars", 1), ("scans", 2)]);
    catalog::remove(&*scene.world.catalog, ContentsId(id), 1).await.expect("is lost");
    scene.verify(Level::Everything).await.expect("verifies");
    assert_eq!(kept().await.expect("is kept again").value, contents);
}

#[tokio::test]
async fn a_backup_that_nobody_works_on_is_cancelled_at_once_and_one_under_way_when_it_looks() {
    let scene = large_scene();
    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let order = scene.world.queue.take().expect("an order");
    let cancelled = backup::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.expect("cancels");
    assert_eq!((cancelled.status, cancelled.error.as_deref()), (Status::Failed, Some(CANCELLED)));
    assert!(matches!(scene.run(order, None).await, Ok(BackupOutcome::Busy(_))));
    assert_eq!(scene.record_of(id).await, cancelled);

    // One that is being copied.
    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let run = scene.run(scene.world.queue.take().expect("an order"), None);
    let cancel = async {
        while scene.record_of(id).await.progress.rows == 0 {
            scene.world.clock.sleep(Duration::from_millis(100)).await;
        }
        backup::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.expect("cancels");
    };
    let (outcome, ()) = tokio::join!(run, cancel);
    let Ok(BackupOutcome::Cancelled(record)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((record.status, record.error.as_deref()), (Status::Failed, Some(CANCELLED)));
    assert_eq!(record.cancelled.as_ref().map(|c| c.by.as_str()), Some("ben"));

    // One that waits for its next invocation.
    let Ok(BackupOutcome::HandedOver(record)) = scene.run(BackupOrder::new(Trigger::Schedule), Some(6)).await else {
        panic!("is handed over")
    };
    backup::cancel(&*scene.world.catalog, record.id, "ben", scene.now()).await.expect("cancels");
    let outcome = scene.run(scene.world.queue.take().expect("an order"), None).await.expect("runs");
    assert!(matches!(outcome, BackupOutcome::Busy(_)), "{outcome:?}");
    assert_eq!(scene.record_of(record.id).await.error.as_deref(), Some(CANCELLED));

    // One that is whole in the primary vault.
    let Ok(BackupOutcome::Committed(record)) = scene.back_up().await else { panic!("committed") };
    let late = backup::cancel(&*scene.world.catalog, record.id, "ben", scene.now()).await.expect_err("too late");
    assert_eq!(late.kind(), ErrorKind::Conflict);
    scene.require_restorable("after cancellations").await;
}

#[tokio::test]
async fn a_backup_waits_for_its_turn_and_not_for_ever() {
    let scene = Scene::new();
    let until = scene.now().plus_s(LEASE_TTL_S);
    scene.world.catalog_lease("database", "another", until).await;
    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let order = scene.world.queue.take().expect("an order");
    for _ in 0..3 {
        let outcome = scene.run(order.clone(), None).await.expect("waits");
        assert!(matches!(&outcome, BackupOutcome::Busy(why) if why.contains("another")), "{outcome:?}");
        assert_eq!(scene.world.queue.take().as_ref(), Some(&order), "it comes again");
        assert_eq!(scene.record_of(id).await.status, Status::Pending);
    }
    scene.world.clock.advance(Duration::from_secs(LEASE_TTL_S as u64 + 1));
    assert!(matches!(scene.run(order, None).await, Ok(BackupOutcome::Committed(record)) if record.id == id));

    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let order = scene.world.queue.take().expect("an order");
    scene.world.clock.advance(Duration::from_secs(TURN_WAIT_MAX_S as u64 + 1));
    scene.world.catalog_lease("database", "another", scene.now().plus_s(LEASE_TTL_S)).await;
    assert!(matches!(scene.run(order, None).await, Ok(BackupOutcome::Busy(_))));
    assert_eq!((scene.record_of(id).await.status, scene.world.queue.take()), (Status::Failed, None));
}

#[tokio::test]
async fn a_request_whose_order_is_lost_ends_failed() {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let restore = restore_id(&scene);
    scene.ask_restore(restore, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    scene.world.queue.take().expect("an order, which is lost");
    scene.world.restores.take().expect("an order, which is lost");
    for (lost, minutes) in [(false, ORDER_LOST_S / 60 - 1), (true, 2)] {
        scene.world.clock.advance(Duration::from_secs(minutes as u64 * 60));
        scene.replicate().reconcile().await.expect("reconciles");
        restore::give_up_lost(&*scene.world.catalog, scene.now()).await.expect("looks");
        let expected = if lost { Status::Failed } else { Status::Pending };
        assert_eq!(scene.record_of(id).await.status, expected);
        assert_eq!(scene.restore_record(restore).await.status, expected);
    }
    assert!(scene.record_of(id).await.error.is_some_and(|e| e.contains("lost")));
    let policy = RetentionPolicy { days: 1, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };
    let cleanup: PruneId = scene.new_id().to_string().parse().expect("an id");
    let (catalog, queue) = (&*scene.world.catalog, &*scene.world.prunes);
    prune::request(catalog, queue, cleanup, policy, "ana", scene.now()).await.expect("asks");
    for (minutes, lost) in [(ORDER_LOST_S / 60 - 1, false), (2, true)] {
        scene.world.clock.advance(Duration::from_secs(minutes as u64 * 60));
        prune::give_up_lost(catalog, scene.now()).await.expect("looks");
        assert_eq!(prune::record(catalog, cleanup).await.expect("a record").is_over(), lost);
    }
}

#[tokio::test]
async fn a_pin_is_of_the_last_generation_and_of_nothing_that_is_gone() {
    let mut scene = Scene::new();
    let first = scene.good().await;
    scene.world.change_key(77).expect("another key");
    while scene.rotate(None).await.expect("rotates").is_some_and(|r| r.backups_left > 0) {}
    scene.deliver_events().await;
    scene.rotate(None).await.expect("ends");
    let second = scene.record_of(first).await.superseded_by.expect("was sealed again");
    let pin = Some(Pin { at: scene.now(), note: Some("before the move".to_owned()) });
    let pinned = backup::pin(&*scene.world.catalog, first, pin.clone()).await.expect("pins");
    assert_eq!((pinned.id, &pinned.pin), (second, &pin));
    assert_eq!(backup::pin(&*scene.world.catalog, first, None).await.expect("unpins").pin, None);
    let expire = |r: &mut SnapshotRecord| r.expire(Timestamp::from_millis(0));
    catalog::amend(&*scene.world.catalog, second, expire).await.expect("expires");
    let late = backup::pin(&*scene.world.catalog, second, pin).await.expect_err("gone");
    assert_eq!(late.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_restore_that_is_asked_for_is_done_once_and_its_record_says_how_far_it_is() {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let wish = wish(Wanted::Latest, Environment::Development);
    for _ in 0..2 {
        let record = scene.ask_restore(id, &wish).await.expect("asks");
        assert_eq!((record.backup_id, record.status, record.masked), (good, Status::Pending, true));
    }
    let (first, second) = (scene.world.restores.take().expect("an order"), scene.world.restores.take().expect("two"));
    let target = MemoryTarget::new(scene.world.faults.clone());
    let outcome = scene.take_up(first, &target, None).await.expect("restores");
    let RestoreOutcome::Settled(record) = outcome else { panic!("{outcome:?}") };
    assert_eq!((record.status, record.phase, record.progress.percent), (Status::Completed, RestorePhase::Done, 100));
    assert_eq!(record.restored.as_ref().map(|r| (r.rows, r.snapshot)), Some((98, good)));
    assert_eq!(target.rows(), filled(&scene));
    assert!(matches!(scene.take_up(second, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert_eq!(scene.restore_record(id).await, *record);
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_call_is_gone_on_with_and_ends_in_the_same_database() {
    let steps = {
        let (scene, id) = asked().await;
        let before = scene.world.faults.steps();
        let target = MemoryTarget::new(scene.world.faults.clone());
        scene.take_up(RestoreOrder { restore_id: id, hand_overs: 0 }, &target, None).await.expect("restores");
        scene.world.faults.steps() - before
    };
    assert!(steps > 20);
    for step in 1..=steps {
        let (scene, id) = asked().await;
        let order = RestoreOrder { restore_id: id, hand_overs: 0 };
        let target = MemoryTarget::new(scene.world.faults.clone());
        {
            let run = pin!(scene.take_up(order, &target, None));
            scene.killed_at(scene.world.faults.steps() + step, run).await;
        }
        // The queue delivers it again.
        scene.world.clock.advance(Duration::from_secs(960));
        scene.take_up(order, &target, None).await.unwrap_or_else(|e| panic!("step {step}: {e}"));
        let record = scene.restore_record(id).await;
        assert_eq!(record.status, Status::Completed, "step {step}: {:?}", record.error);
        assert_eq!(target.rows(), filled(&scene), "step {step}");
    }
}

#[tokio::test]
async fn a_restore_ends_one_way_or_the_other_whatever_call_fails() {
    let steps = {
        let (scene, id) = asked().await;
        let before = scene.world.faults.steps();
        let target = MemoryTarget::new(scene.world.faults.clone());
        scene.take_up(RestoreOrder { restore_id: id, hand_overs: 0 }, &target, None).await.expect("restores");
        scene.world.faults.steps() - before
    };
    for when in When::ALL {
        for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
            for step in 1..=steps {
                let what = format!("{when:?} {kind:?} at {step}");
                let (scene, id) = asked().await;
                let target = MemoryTarget::new(scene.world.faults.clone());
                scene.world.faults.arm(scene.world.faults.steps() + step, when, kind);
                let order = RestoreOrder { restore_id: id, hand_overs: 0 };
                let failed = scene.take_up(order, &target, None).await.is_err();
                scene.world.faults.heal();
                scene.world.clock.advance(Duration::from_secs(960));
                // What failed comes again; what was handed over is in the queue.
                let mut orders = Vec::from_iter(failed.then_some(order));
                while let Some(order) = orders.pop().or_else(|| scene.world.restores.take()) {
                    scene.take_up(order, &target, None).await.unwrap_or_else(|e| panic!("{what}: {e}"));
                }
                let record = scene.restore_record(id).await;
                assert!(record.is_settled(), "{what}: {:?}", record.status);
                match record.status {
                    Status::Completed => assert_eq!(target.rows(), filled(&scene), "{what}"),
                    _ => assert!(kind == ErrorKind::Denied && record.error.is_some(), "{what}: {:?}", record.error),
                }
            }
        }
    }
}

/// The same of a target in use: it is replaced once, and the record says so.
#[tokio::test]
async fn a_replacement_that_is_killed_or_fails_at_any_call_is_told_as_it_ended() {
    let before = || BTreeMap::from([("kept".to_owned(), vec!["as it was".to_owned()])]);
    let steps = {
        let (scene, id) = asked_to_replace().await;
        let from = scene.world.faults.steps();
        let target = MemoryTarget::in_use(before(), scene.world.faults.clone());
        let order = RestoreOrder { restore_id: id, hand_overs: 0 };
        scene.take_up(order, &target, None).await.expect("restores");
        assert_eq!(scene.restore_record(id).await.status, Status::Completed);
        scene.world.faults.steps() - from
    };
    for when in [None, Some(When::BeforeEffect), Some(When::AfterEffect)] {
        for step in 1..=steps {
            let what = format!("{when:?} at {step}");
            let (scene, id) = asked_to_replace().await;
            let order = RestoreOrder { restore_id: id, hand_overs: 0 };
            let target = MemoryTarget::in_use(before(), scene.world.faults.clone());
            let at = scene.world.faults.steps() + step;
            let again = match when {
                None => {
                    let run = pin!(scene.take_up(order, &target, None));
                    scene.killed_at(at, run).await;
                    true
                }
                Some(when) => {
                    scene.world.faults.arm(at, when, ErrorKind::Unavailable);
                    scene.take_up(order, &target, None).await.is_err()
                }
            };
            scene.world.faults.heal();
            scene.world.clock.advance(Duration::from_secs(960));
            let mut orders = Vec::from_iter(again.then_some(order));
            while let Some(order) = orders.pop().or_else(|| scene.world.restores.take()) {
                scene.take_up(order, &target, None).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            }
            let record = scene.restore_record(id).await;
            assert_eq!(record.status, Status::Completed, "{what}: {:?}", record.error);
            assert_eq!(target.rows(), filled(&scene), "{what}");
        }
    }
}

/// What is cancelled is not done, and what is done cannot be cancelled, whenever that is asked for.
#[tokio::test]
async fn a_replacement_that_is_cancelled_at_any_moment_is_told_as_it_ended() {
    let (mut cancelled, mut too_late) = (0, 0);
    for turns in 0..400 {
        let (scene, id) = asked_to_replace().await;
        let before = BTreeMap::from([("kept".to_owned(), vec!["as it was".to_owned()])]);
        let target = MemoryTarget::in_use(before.clone(), scene.world.faults.clone());
        let cancel = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            restore::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.is_ok()
        };
        let order = RestoreOrder { restore_id: id, hand_overs: 0 };
        let (outcome, was_taken) = tokio::join!(scene.take_up(order, &target, None), cancel);
        outcome.unwrap_or_else(|e| panic!("after {turns} turns: {e}"));
        let record = scene.restore_record(id).await;
        let expected = match was_taken {
            true => (Status::Failed, before),
            false => (Status::Completed, filled(&scene)),
        };
        assert_eq!((record.status, target.rows()), expected, "after {turns} turns: {:?}", record.error);
        if was_taken { cancelled += 1 } else { too_late += 1 }
    }
    assert!(cancelled > 10 && too_late > 10, "{cancelled} {too_late}");
}

/// A backup, and a restore of it in place of what staging holds, that waits to be taken up.
async fn asked_to_replace() -> (Scene, RestoreId) {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let confirmation = Some(confirmation("staging", good));
    let wish = RestoreWish { confirmation, ..wish(Wanted::Backup(good), Environment::Staging) };
    scene.ask_restore(id, &wish).await.expect("asks");
    scene.world.restores.take().expect("an order");
    (scene, id)
}

/// A backup, and a restore of it that waits to be taken up.
async fn asked() -> (Scene, RestoreId) {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    scene.ask_restore(id, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    scene.world.restores.take().expect("an order");
    (scene, id)
}

#[tokio::test]
async fn a_restore_waits_for_another_into_the_same_environment() {
    let (scene, id) = asked().await;
    scene.world.catalog_lease("restore into staging", "another", scene.now().plus_s(LEASE_TTL_S)).await;
    let order = RestoreOrder { restore_id: id, hand_overs: 0 };
    let target = MemoryTarget::new(scene.world.faults.clone());
    assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert_eq!(scene.world.restores.take(), Some(order));
    scene.world.clock.advance(Duration::from_secs(LEASE_TTL_S as u64 + 1));
    let outcome = scene.take_up(order, &target, None).await.expect("restores");
    assert!(matches!(outcome, RestoreOutcome::Settled(record) if record.status == Status::Completed));
}

#[tokio::test]
async fn a_restore_that_does_not_fit_is_handed_over_and_one_that_comes_no_further_is_given_up() {
    let (scene, id) = asked().await;
    // The target answers nothing: that may pass.
    scene.world.faults.break_service("target", ErrorKind::Unavailable);
    let target = MemoryTarget::new(scene.world.faults.clone());
    let mut order = RestoreOrder { restore_id: id, hand_overs: 0 };
    for n in 1..RESTORE_IDLE_MAX {
        let outcome = scene.take_up(order, &target, Some(60)).await.expect("is handed over");
        assert!(matches!(outcome, RestoreOutcome::HandedOver(_)), "{n}: {outcome:?}");
        let next = scene.world.restores.take().expect("an order");
        assert_eq!(next, RestoreOrder { restore_id: id, hand_overs: n });
        // The one before is delivered again.
        assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
        order = next;
    }
    let outcome = scene.take_up(order, &target, Some(60)).await.expect("is given up");
    assert!(matches!(outcome, RestoreOutcome::Settled(record) if record.status == Status::Failed));
    // The order that was sent before that was noted does nothing.
    let left = scene.world.restores.take().expect("an order");
    assert!(matches!(scene.take_up(left, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert_eq!(scene.world.restores.take(), None);
}

#[tokio::test]
async fn a_restore_is_cancelled_before_and_while_it_runs() {
    let (scene, id) = asked().await;
    let cancelled = restore::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.expect("cancels");
    assert_eq!((cancelled.status, cancelled.error.as_deref()), (Status::Failed, Some(CANCELLED)));
    let target = MemoryTarget::new(scene.world.faults.clone());
    let order = RestoreOrder { restore_id: id, hand_overs: 0 };
    assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert!(target.rows().is_empty());

    let scene = large_scene();
    let good = scene.good().await;
    let id = restore_id(&scene);
    scene.ask_restore(id, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    let order = scene.world.restores.take().expect("an order");
    let target = MemoryTarget::new(scene.world.faults.clone());
    let cancel = async {
        while scene.restore_record(id).await.status == Status::Pending {
            tokio::task::yield_now().await;
        }
        restore::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.expect("cancels");
    };
    let (outcome, ()) = tokio::join!(scene.take_up(order, &target, None), cancel);
    let Ok(RestoreOutcome::Settled(record)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((record.status, record.error.as_deref()), (Status::Failed, Some(CANCELLED)));
}

#[tokio::test]
async fn production_takes_the_right_words_and_another_person() {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let mut wish = wish(Wanted::Backup(good), Environment::Production);
    for typed in [None, Some("yes".to_owned()), Some(confirmation("staging", good))] {
        wish.confirmation = typed;
        let refused = scene.ask_restore(id, &wish).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(&confirmation("production", good)), "{refused}");
    }
    assert_eq!(scene.world.restores.take(), None);
    wish.confirmation = Some(confirmation("production", good));
    let record = scene.ask_restore(id, &wish).await.expect("asks");
    assert!(record.waits_for_approval() && scene.world.restores.take().is_none());
    // An order that is forged does nothing.
    let order = RestoreOrder { restore_id: id, hand_overs: 0 };
    let target = MemoryTarget::new(scene.world.faults.clone());
    assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));

    let approve = |by: &'static str| {
        let (catalog, queue) = (Arc::clone(&scene.world.catalog), Arc::clone(&scene.world.restores));
        let now = scene.now();
        async move { restore::approve(&*catalog, &*queue, id, by, now).await }
    };
    assert_eq!(approve("ana").await.expect_err("the same person").kind(), ErrorKind::Denied);
    for _ in 0..2 {
        approve("ben").await.expect("approves");
        assert_eq!(scene.world.restores.take(), Some(order));
    }
    assert_eq!(approve("eva").await.expect_err("approved already").kind(), ErrorKind::Conflict);
    let outcome = scene.take_up(order, &target, None).await.expect("restores");
    assert!(matches!(outcome, RestoreOutcome::Settled(record) if record.status == Status::Completed));

    let late = restore_id(&scene);
    scene.ask_restore(late, &wish).await.expect("asks");
    scene.world.clock.advance(Duration::from_secs(601));
    let (catalog, queue) = (&*scene.world.catalog, &*scene.world.restores);
    let refused = restore::approve(catalog, queue, late, "ben", scene.now()).await.expect_err("too late");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    restore::give_up_lost(catalog, scene.now()).await.expect("looks");
    assert!(scene.restore_record(late).await.error.is_some_and(|e| e.contains("approved")));
}

#[tokio::test]
async fn a_plan_says_which_backup_is_meant_and_what_it_would_take() {
    let scene = Scene::new();
    let none = restore::plan(&*scene.world.catalog, &wish(Wanted::Latest, Environment::Staging)).await;
    assert!(none.expect_err("there is none").to_string().contains("none at all"));
    let (first, second) = (scene.good().await, scene.good().await);
    let between = scene.record_of(first).await.summary.expect("made").taken_at.plus_s(1);
    let plan = |wish: RestoreWish| {
        let catalog = Arc::clone(&scene.world.catalog);
        async move { restore::plan(&*catalog, &wish).await }
    };
    let latest = plan(wish(Wanted::Latest, Environment::Production)).await.expect("plans");
    assert_eq!((latest.backup_id, latest.rows, latest.expected_ms), (second, 98, None));
    assert!(latest.safety_backup && !latest.replaces && latest.region == "eu-west-1");
    assert_eq!(latest.confirmation, confirmation("production", second));

    let at = |wanted, point| RestoreWish { restore_point: Some(point), ..wish(wanted, Environment::Staging) };
    assert_eq!(plan(at(Wanted::Latest, between)).await.expect("plans").backup_id, first);
    assert_eq!(plan(at(Wanted::Backup(first), between)).await.expect("plans").backup_id, first);
    let said = plan(at(Wanted::Backup(second), between)).await.expect_err("they differ").to_string();
    assert!(said.contains(&first.to_string()), "{said}");
    let early = plan(at(Wanted::Latest, between.plus_s(-3_600))).await.expect_err("none so early").to_string();
    assert!(early.contains("there are 2"), "{early}");

    let only = |text: &str| Some(serde_json::from_str::<Scope>(text).expect("a scope"));
    let small = RestoreWish {
        include: only(r#"{"tables":["public.small"]}"#),
        region: Some("ap-southeast-1".to_owned()),
        ..wish(Wanted::Latest, Environment::Staging)
    };
    let small_plan = plan(small.clone()).await.expect("plans");
    assert_eq!((small_plan.rows, small_plan.region.as_str()), (3, "ap-southeast-1"));
    let refuse = async |wish: RestoreWish| plan(wish).await.expect_err("refused").kind();
    let base = || wish(Wanted::Latest, Environment::Staging);
    assert_eq!(refuse(RestoreWish { region: Some("eu-west-2".to_owned()), ..base() }).await, ErrorKind::Conflict);
    assert_eq!(refuse(RestoreWish { masked: false, ..base() }).await, ErrorKind::Invalid);
    assert_eq!(refuse(RestoreWish { include: only("{}"), ..base() }).await, ErrorKind::Invalid);
    assert_eq!(refuse(RestoreWish { include: only(r#"{"schemas":["nowhere"]}"#), ..base() }).await, ErrorKind::Invalid);
    let excluded = RestoreWish { exclude: only(r#"{"tables":["public.large"]}"#), ..base() };
    assert_eq!(plan(excluded.clone()).await.expect("plans").rows, 3);
    let both = RestoreWish { confirmation: Some(String::new()), ..excluded };
    assert_eq!(refuse(both).await, ErrorKind::Invalid);

    // A drill says how long it should take.
    let drilled = Drilled {
        at: scene.now(),
        region: "eu-west-1".to_owned(),
        passed: true,
        whole: true,
        recovery_ms: Some(1_000),
        rows: 98,
        bytes: latest.bytes / 2,
    };
    let drill = |r: &mut SnapshotRecord| {
        r.drilled = Some(drilled.clone());
        Ok(true)
    };
    catalog::amend(&*scene.world.catalog, first, drill).await.expect("amends");
    let expected = plan(base()).await.expect("plans").expected_ms.expect("is known");
    assert!((1_990..=2_020).contains(&expected), "{expected}");
}

#[tokio::test]
async fn a_cleanup_does_what_its_dry_run_said() {
    let policy = RetentionPolicy { days: 2, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };
    let scene = Scene::new();
    for day in 0..5 {
        scene.source.write("large", day, &format!("{day}\tchanged"));
        scene.good().await;
        scene.world.clock.advance(DAY);
    }
    let said = prune::forecast(&*scene.world.catalog, &policy, scene.now()).await.expect("says");
    let dry = scene.prune(policy, true).await.expect("says");
    assert_eq!(said, dry.decisions);
    let gone: Vec<SnapshotId> = said.iter().filter(|d| d.expires()).map(|d| d.id).collect();
    assert_eq!(gone.len(), 4);

    let id: PruneId = scene.new_id().to_string().parse().expect("an id");
    let (catalog, queue) = (&*scene.world.catalog, &*scene.world.prunes);
    for _ in 0..2 {
        let asked = prune::request(catalog, queue, id, policy, "ana", scene.now()).await.expect("asks");
        assert_eq!((asked.outcome, asked.is_over()), (PruneOutcome::Asked, false));
    }
    let request = PruneRequest { run: Some(queue.take().expect("an order").prune_id), dry_run: false, deadline: None };
    let done = scene.prune_by(policy, request).await.expect("prunes").record;
    let removed: Vec<SnapshotId> = done.expired.iter().map(|e| e.id).collect();
    assert_eq!((done.outcome, &removed, done.requested_by.as_deref()), (PruneOutcome::Done, &gone, Some("ana")));
    let kept = prune::record(catalog, id).await.expect("a record");
    assert_eq!(kept, done);
    // Delivered again: nothing more.
    assert_eq!(scene.prune_by(policy, request).await.expect("nothing").record, done);

    // Another run is under way.
    let id: PruneId = scene.new_id().to_string().parse().expect("an id");
    prune::request(catalog, queue, id, policy, "ana", scene.now()).await.expect("asks");
    scene.world.catalog_lease("prune", "another", scene.now().plus_s(LEASE_TTL_S)).await;
    let busy = scene.prune_by(policy, PruneRequest { run: Some(id), ..request }).await.expect_err("is busy");
    assert_eq!(busy.kind(), ErrorKind::Conflict);
    let told = prune::record(catalog, id).await.expect("a record");
    assert!(told.is_over() && told.error.is_some_and(|e| e.contains("another")));
}

#[tokio::test]
async fn a_key_is_of_one_request_and_its_answer_is_given_again() {
    let scene = Scene::new();
    let world = &scene.world;
    let claim = |request: &'static str| {
        let id = ClaimId::of("ana", "key-1");
        async move {
            let request = Sha256::of(request.as_bytes());
            claim::claim(&*world.catalog, &*world.clock, &*world.entropy, id, request).await.expect("claims")
        }
    };
    let (one, other) = tokio::join!(claim("a"), claim("a"));
    let Claimed::Open(makes) = one.clone() else { panic!("{one:?}") };
    assert_eq!(one, other, "both make the same");
    assert_eq!(claim("b").await, Claimed::Other);
    let answered = Answered { status: 202, location: Some("/v1/backups/x".to_owned()), body: "{}".to_owned() };
    let id = ClaimId::of("ana", "key-1");
    claim::keep_answer(&*world.catalog, id, &makes, &answered).await.expect("keeps");
    let second = Answered { status: 500, ..answered.clone() };
    let kept = claim::keep_answer(&*world.catalog, id, &makes, &second).await.expect("keeps the first");
    assert_eq!(kept, answered);
    assert!(claim::keep_answer(&*world.catalog, id, "another", &second).await.is_err());
    assert_eq!(claim("a").await, Claimed::Answered(answered));
    world.clock.advance(Duration::from_secs(CLAIM_KEPT_S as u64));
    assert!(matches!(claim("b").await, Claimed::Open(new) if new != makes));
    // The same letters in another division are another person's.
    assert_ne!(ClaimId::of("an", "akey-1"), ClaimId::of("ana", "key-1"));
}

/// An order that comes twice, while the first is at work: it does nothing, and does not give the lease away.
#[tokio::test]
async fn an_order_that_comes_twice_at_once_is_done_once() {
    let scene = large_scene();
    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let order = scene.world.queue.take().expect("an order");
    let second = async {
        while scene.record_of(id).await.status == Status::Pending {
            tokio::task::yield_now().await;
        }
        let twice = scene.run(order.clone(), None).await;
        let other = scene.back_up().await;
        (twice, other)
    };
    let (first, (twice, other)) = tokio::join!(scene.run(order.clone(), None), second);
    assert!(matches!(&first, Ok(BackupOutcome::Committed(record)) if record.id == id), "{first:?}");
    assert!(matches!(&twice, Ok(BackupOutcome::Busy(_))), "{twice:?}");
    assert!(matches!(&other, Ok(BackupOutcome::Busy(why)) if why.contains(&id.to_string())), "{other:?}");

    let good = scene.good().await;
    let id = restore_id(&scene);
    scene.ask_restore(id, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    let order = scene.world.restores.take().expect("an order");
    let target = MemoryTarget::new(scene.world.faults.clone());
    let second = async {
        while scene.restore_record(id).await.status == Status::Pending {
            tokio::task::yield_now().await;
        }
        scene.take_up(order, &target, None).await
    };
    let (first, twice) = tokio::join!(scene.take_up(order, &target, None), second);
    assert!(matches!(first, Ok(RestoreOutcome::Settled(record)) if record.status == Status::Completed));
    assert!(matches!(&twice, Ok(RestoreOutcome::Skipped(_))), "{twice:?}");
}

/// What is to be restored stays, however long a second person thinks.
#[tokio::test]
async fn a_backup_that_a_restore_waits_for_does_not_expire() {
    let policy = RetentionPolicy { days: 1, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let confirmation = Some(confirmation("production", good));
    let wish = RestoreWish { confirmation, ..wish(Wanted::Backup(good), Environment::Production) };
    scene.ask_restore(id, &wish).await.expect("asks");
    scene.world.clock.advance(3 * DAY);
    scene.good().await;
    let kept = scene.prune(policy, false).await.expect("prunes");
    assert!(kept.record.expired.is_empty());
    restore::give_up_lost(&*scene.world.catalog, scene.now()).await.expect("looks");
    let gone = scene.prune(policy, false).await.expect("prunes");
    assert_eq!(gone.record.expired.iter().map(|e| e.id).collect::<Vec<_>>(), [good]);
}

#[tokio::test]
async fn so_many_requests_a_minute_and_no_more() {
    let scene = Scene::new();
    let spend = |person: &'static str| {
        let (catalog, now) = (Arc::clone(&scene.world.catalog), scene.now());
        async move { quota::spend(&*catalog, person, 3, now).await.expect("counts") }
    };
    for _ in 0..3 {
        assert_eq!(spend("ana").await, None);
    }
    scene.world.clock.advance(Duration::from_secs(20));
    assert_eq!(spend("ana").await, Some(40));
    assert_eq!(spend("ben").await, None);
    scene.world.clock.advance(Duration::from_secs(40));
    assert_eq!(spend("ana").await, None);
}

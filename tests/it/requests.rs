//! What people ask for, in memory: each request has its record at once, is done once however often it is sent or delivered, waits for
//! its turn, can be stopped, and ends one way or the other.

mod backups;
mod progress;
mod restores;

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

//! The safety snapshot: a production in use is never replaced without a fresh snapshot of that very database.

use crate::deployment::{Deployment, assert_says};
use crate::postgres::Postgres;
use crate::scene::{SEED, Scene};
use engine::catalog::{self, AttemptRecord, SnapshotRecord, Trigger};
use engine::clock::{Clock, Timestamp};
use engine::error::{ErrorKind, Result};
use engine::id::{AttemptId, SnapshotId};
use engine::inventory;
use engine::layout::ObjectKey;
use engine::limits::SAFETY_AGE_MAX_S;
use engine::ops::restore::{Orders, Replace, Restore, RestoreRequest, Restored, Selection, confirmation};
use engine::queue::Queue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use testkit::{MemoryTarget, When};

fn request(id: SnapshotId, deadline: Option<Timestamp>) -> RestoreRequest {
    let replace = Replace {
        environment: "production".to_owned(),
        confirmation: confirmation("production", id),
        needs_safety_snapshot: true,
    };
    RestoreRequest { replace: Some(replace), deadline, ..Selection::Snapshot(id).into() }
}

/// Rows that are in use, and are no backup's.
fn in_use() -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([("large".to_owned(), vec!["in use".to_owned()])])
}

impl Scene {
    async fn replace(&self, target: &MemoryTarget, request: RestoreRequest) -> Result<Restored> {
        let restore = Restore {
            vault: Arc::clone(&self.world.vaults[0]) as _,
            keyring: self.keyring(0),
            target: Arc::new(target.clone()),
            storage: None,
            sessions: 1,
            policies: Arc::clone(&self.settings.policies),
            clock: Arc::clone(&self.world.clock) as _,
            catalog: Some(Arc::clone(&self.world.catalog) as _),
            counters: Arc::default(),
            journal: None,
            orders: Some(Orders {
                queue: Arc::clone(&self.world.queue) as _,
                entropy: Arc::clone(&self.world.entropy) as _,
            }),
        };
        restore.run(request).await
    }

    /// The same, while the queue starts backups.
    async fn replace_and_serve(&self, target: &MemoryTarget, request: RestoreRequest) -> Result<Restored> {
        let serve = async {
            loop {
                let order = self.world.queue.take();
                let failed = match &order {
                    Some(order) => self.run(order.clone(), None).await.is_err(),
                    None => false,
                };
                self.world.clock.sleep(Duration::from_secs(1)).await;
                // An order whose function failed comes again.
                if let Some(order) = order.filter(|_| failed) {
                    let _ = self.world.queue.send(&order, 0).await;
                }
            }
        };
        tokio::select! {
            biased;
            restored = self.replace(target, request) => restored,
            () = serve => unreachable!("it serves for ever"),
        }
    }

    async fn snapshots(&self) -> Vec<SnapshotId> {
        inventory::list(&*self.world.vaults[0]).await.expect("lists")
    }

    /// A backup, which is too old by now, and a production in use.
    async fn old_backup(&self) -> (SnapshotId, MemoryTarget) {
        self.back_up().await.expect("backs up");
        self.world.clock.advance(Duration::from_secs(SAFETY_AGE_MAX_S as u64 + 1));
        (self.snapshots().await[0], MemoryTarget::in_use(in_use(), self.world.faults.clone()))
    }

    fn wanted(&self) -> BTreeMap<String, Vec<String>> {
        let mut rows = self.source.rows();
        rows.retain(|_, rows| !rows.is_empty());
        rows
    }
}

#[tokio::test]
async fn a_safety_snapshot_is_ordered_and_waited_for_and_a_request_that_comes_again_finds_it() {
    let scene = Scene::new();
    let (id, target) = scene.old_backup().await;
    // Nobody makes it: the request gives up in time, and says what to do.
    let soon = Some(scene.world.clock.now().plus_s(60));
    let waiting = scene.replace(&target, request(id, soon)).await.expect_err("gives up");
    let order = scene.world.queue.take().expect("one was ordered");
    let ordered = order.backup_id.expect("has an id");
    assert_says(
        &waiting,
        ErrorKind::Unavailable,
        &[&ordered.to_string(), "the same request again", "nothing was changed"],
    );
    assert_eq!((order.trigger, order.hand_overs, scene.world.queue.take()), (Trigger::Manual, 0, None));
    assert_eq!(target.rows(), in_use());

    scene.run(order, None).await.expect("backs up");
    let restored = scene.replace(&target, request(id, None)).await.expect("finds it");
    assert_eq!(scene.world.queue.take(), None, "no other is ordered");
    assert_eq!(target.rows(), scene.wanted());
    let said = restored.warnings.iter().find(|w| w.code == "safety_snapshot").expect("says which");
    assert!(said.message.contains(&ordered.to_string()), "{}", said.message);

    // In one go, and anew once the last one is too old.
    let (_, target) = scene.old_backup().await;
    let before = scene.snapshots().await;
    scene.replace_and_serve(&target, request(id, None)).await.expect("replaces");
    assert_eq!(scene.snapshots().await.len(), before.len() + 1);
    assert_eq!(target.rows(), scene.wanted());
}

#[tokio::test]
async fn while_a_backup_is_being_made_no_other_is_ordered() {
    let scene = Scene::new();
    let (id, target) = scene.old_backup().await;
    let world = &scene.world;
    let (clock, entropy) = (&*world.clock, &*world.entropy);
    let running = SnapshotId::new(clock, entropy).expect("an id");
    let places: Vec<_> = world.ports().all().iter().map(|v| v.place().clone()).collect();
    let mut record = SnapshotRecord::pending(running, "database".to_owned(), Trigger::Schedule, clock.now(), &places);
    record
        .begin(AttemptRecord { id: AttemptId::new(clock, entropy).expect("an id"), epoch: 1 }, clock.now())
        .expect("begins");
    catalog::insert(&*world.catalog, &record).await.expect("writes");
    let soon = Some(clock.now().plus_s(30));
    let waiting = scene.replace(&target, request(id, soon)).await.expect_err("gives up");
    assert_says(&waiting, ErrorKind::Unavailable, &[&running.to_string(), "nothing was changed"]);
    assert_eq!(world.queue.take(), None);
    // It says nothing any more: it is dead, and another takes its place.
    world.clock.advance(Duration::from_secs(120));
    scene.replace_and_serve(&target, request(id, None)).await.expect("replaces");
    assert_eq!(target.rows(), scene.wanted());
}

#[tokio::test]
async fn whatever_call_fails_production_is_as_it_was_or_replaced_with_a_safety_snapshot() {
    let clean = Scene::new();
    let (id, target) = clean.old_backup().await;
    let before = clean.world.faults.steps();
    clean.replace_and_serve(&target, request(id, None)).await.expect("replaces");
    let steps = clean.world.faults.steps() - before;
    assert!(steps > 30, "the loop covers something: {steps} calls");
    for step in 1..=steps {
        for when in When::ALL {
            let what = format!("seed {SEED}, call {step} of {steps}, {when:?}");
            let scene = Scene::new();
            let (id, target) = scene.old_backup().await;
            let asked_at = scene.world.clock.now();
            scene.world.faults.arm(scene.world.faults.steps() + step, when, ErrorKind::Unavailable);
            let deadline = Some(asked_at.plus_s(600));
            let first = scene.replace_and_serve(&target, request(id, deadline)).await;
            scene.world.faults.heal();
            let is_safe = async || {
                let newest = *scene.snapshots().await.last().expect("there is one");
                let (inventory, _) = inventory::read(&*scene.world.vaults[0], newest).await.expect("reads");
                inventory.taken_at >= asked_at.plus_s(-SAFETY_AGE_MAX_S)
            };
            if target.rows() == in_use() {
                assert!(first.is_err(), "{what}");
            } else {
                assert!(is_safe().await, "{what}: replaced without a safety snapshot");
            }
            // A safety snapshot that failed, or that an order was lost of, is ordered again.
            let mut tries = 0;
            loop {
                let deadline = Some(scene.world.clock.now().plus_s(600));
                match scene.replace_and_serve(&target, request(id, deadline)).await {
                    Ok(_) => break,
                    Err(e) if e.kind() == ErrorKind::Conflict => break,
                    Err(e) if e.kind() == ErrorKind::Unavailable && tries < 3 => tries += 1,
                    Err(e) => panic!("{what}: {e}"),
                }
            }
            assert_eq!(target.rows(), scene.wanted(), "{what}");
            assert!(is_safe().await, "{what}: replaced without a safety snapshot");
        }
    }
}

/// Runs the restore of a deployment while its queue starts backups of a database.
async fn replace_and_serve(deployment: &Deployment, source: &str, target: &str, id: SnapshotId) -> Result<Restored> {
    let mut restore = deployment.restore(0, target);
    restore.catalog = Some(Arc::clone(&deployment.world.catalog) as _);
    restore.orders = Some(Orders {
        queue: Arc::clone(&deployment.world.queue) as _,
        entropy: Arc::clone(&deployment.world.entropy) as _,
    });
    let serve = async {
        loop {
            if let Some(order) = deployment.world.queue.take() {
                let request = engine::ops::backup::BackupRequest { order, deadline: None };
                deployment.backup(source).run(request).await.expect("backs up");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        restored = restore.run(request(id, None)) => restored,
        () = serve => unreachable!("it serves for ever"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_snapshot_of_that_very_database_makes_it_safe() {
    let server = Postgres::start();
    let (live, other) = (server.create_owned("live"), server.create("other"));
    server.sql("live", "set role shop; create table t as select n from generate_series(1, 100) as n");
    server.sql("other", "create table t as select n from generate_series(1, 7) as n");
    let deployment = Deployment::new(90);
    let id = deployment.back_up(&other).await.expect("backs up the other").id;

    let no_queue = deployment.restore(0, &live).run(request(id, None)).await.expect_err("refused");
    assert_says(&no_queue, ErrorKind::Invalid, &["BACKUP_QUEUE_URL", "15 minutes", "nothing was changed"]);
    let foreign = replace_and_serve(&deployment, &other, &live, id).await.expect_err("refused");
    assert_says(&foreign, ErrorKind::Invalid, &["database other", "nothing was changed"]);
    assert_eq!(
        server.sql("live", "select count(*), (select count(*) from pg_namespace where nspname ~ '_before_') from t"),
        "100|0"
    );
    // A refusal that needs no snapshot orders none.
    let superuser = replace_and_serve(&deployment, &other, &server.database("live"), id).await.expect_err("refused");
    assert_says(&superuser, ErrorKind::Invalid, &["is a superuser"]);
    assert_eq!(deployment.world.queue.take(), None);

    let restored = replace_and_serve(&deployment, &server.database("live"), &live, id).await.expect("replaces");
    assert_eq!((restored.rows, server.sql("live", "select count(*) from t")), (7, "7".to_owned()));
    // The safety snapshot holds what was replaced.
    let safety = inventory::list(&*deployment.world.vaults[0]).await.expect("lists").pop().expect("there is one");
    assert!(restored.warnings.iter().any(|w| w.message.contains(&safety.to_string())), "{:?}", restored.warnings);
    let again = server.create("again");
    deployment.restore(0, &again).run(Selection::Snapshot(safety)).await.expect("restores");
    assert_eq!(server.sql("again", "select count(*) from t"), "100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_in_which_some_rows_are_older_makes_nothing_safe() {
    let server = Postgres::start();
    let live = server.create_owned("live");
    server.remember("live");
    server.sql(
        "live",
        "set role shop; create table t as select n from generate_series(1, 100) as n; create table u as table t",
    );
    let deployment =
        Deployment::new(91).with_policies(r#"{"classes": [{"name": "seldom", "match": ["public.t"], "every": "1d"}]}"#);
    let url = server.database("live");
    server.create("other");
    server.sql("other", "create table t as select n from generate_series(1, 7) as n; create table u as table t");
    let id = deployment.back_up(&server.database("other")).await.expect("backs up the other").id;
    let whole = deployment.back_up(&url).await.expect("backs up").id;
    server.sql("live", "set role shop; insert into t values (101); insert into u values (101)");
    // Fresh, of that very database, and without the new row of the class that is not due.
    let partly_old = deployment.back_up(&url).await.expect("backs up");
    let manifest = deployment.manifest(&partly_old).await;
    assert!(manifest.tables.iter().any(|t| t.taken_at.is_some()), "the class is not due");
    // The whole one would do; it is older than that in the end.
    deployment.world.vaults[0].remove(&ObjectKey::Inventory(whole).to_string());
    deployment.world.catalog.wipe();
    let restored = replace_and_serve(&deployment, &url, &live, id).await.expect("replaces");
    let safety = inventory::list(&*deployment.world.vaults[0]).await.expect("lists").pop().expect("there is one");
    assert!(safety > partly_old.id, "another one was ordered");
    assert!(restored.warnings.iter().any(|w| w.message.contains(&safety.to_string())), "{:?}", restored.warnings);
    let again = server.create("again");
    deployment.restore(0, &again).run(Selection::Snapshot(safety)).await.expect("restores");
    assert_eq!(server.sql("again", "select (select count(*) from t), (select count(*) from u)"), "101|101");
    assert_eq!(server.sql("live", "select (select count(*) from t), (select count(*) from u)"), "7|7");
}

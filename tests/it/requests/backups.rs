//! Backups that people ask for, stop and keep.

use super::*;

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

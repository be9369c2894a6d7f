//! Rotation of keys, in memory: whatever is kept is sealed again under the new key, whatever happens meanwhile, and the old key is not
//! needed any more.

use crate::incremental::large_scene;
use crate::scene::{SEED, Scene};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::catalog::{self, Pin, SnapshotRecord, Status, Trigger};
use engine::clock::{Clock, Entropy};
use engine::error::ErrorKind;
use engine::id::SnapshotId;
use engine::inventory;
use engine::layout::{CHECKPOINTS, ObjectKey};
use engine::limits::ROTATE_LEASE_S;
use engine::ops::backup::BackupOutcome;
use engine::ops::rebuild::rebuild;
use engine::ops::restore::Selection;
use engine::ops::rotate::{RotationRecord, RotationState};
use engine::ops::verify::Level;
use engine::queue::BackupOrder;
use engine::retention::RetentionPolicy;
use engine::vault::{Vault, list_all};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::{KeyState, MemoryCatalog, MemoryTarget, SeededEntropy, SlowClock, When};

const POLICY: RetentionPolicy =
    RetentionPolicy { days: 3, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };
const OTHER_KEY: u64 = 99;

type Rows = BTreeMap<String, Vec<String>>;

/// Some backups of different content, and what each must give back, by what all generations of it share.
async fn some_backups(scene: &Scene, count: usize) -> BTreeMap<[u8; 10], Rows> {
    let mut wanted = BTreeMap::new();
    for n in 0..count {
        scene.source.write("large", (n * 31) % 95, &format!("{n}\tchanged before backup {n}"));
        scene.back_up().await.expect("backs up");
        scene.deliver_events().await;
        let newest = scene.records().await.remove(0);
        assert_eq!(newest.status, Status::Completed);
        let mut rows = scene.source.rows();
        rows.retain(|_, rows| !rows.is_empty());
        wanted.insert(newest.id.root(), rows);
        scene.world.clock.advance(Duration::from_secs(3_600));
    }
    wanted
}

/// Runs until it is done, delivering events in between. Gives what each run said.
async fn rotate_to_the_end(scene: &Scene, seconds: Option<i64>) -> Vec<RotationRecord> {
    let mut said = Vec::new();
    for _ in 0..200 {
        let Some(rotation) = scene.rotate(seconds).await.expect("rotates") else { return said };
        scene.deliver_events().await;
        let done = rotation.state == RotationState::Done;
        said.push(rotation);
        if done {
            return said;
        }
    }
    panic!("it does not come to an end: {:?}", said.last());
}

/// The key that it had before opens nothing any more.
fn disable_former(scene: &Scene) {
    scene.world.former.iter().flatten().for_each(|key| key.set_state(KeyState::Disabled));
}

/// Everything that is kept restores from every vault with the new key alone.
async fn require_new_key_suffices(scene: &Scene, wanted: &BTreeMap<[u8; 10], Rows>, what: &str) {
    disable_former(scene);
    scene.require_whole_inventories(what).await;
    for region in 0..3 {
        let ids = inventory::list(&*scene.world.vaults[region]).await.expect("lists");
        assert_eq!(ids.len(), wanted.len(), "{what}");
        for id in ids {
            let target = MemoryTarget::new(scene.world.faults.clone());
            let restored = scene.restore(region, Selection::Snapshot(id), &target).await;
            restored.unwrap_or_else(|e| panic!("{what}: {id} from vault {region}: {e}"));
            assert_eq!(target.rows(), wanted[&id.root()], "{what}: {id} from vault {region}");
        }
    }
}

#[tokio::test]
async fn after_a_rotation_the_old_key_is_not_needed_and_what_it_sealed_goes() {
    let mut scene = Scene::with_objects();
    let wanted = some_backups(&scene, 4).await;
    let before: Vec<SnapshotId> = scene.records().await.iter().map(|r| r.id).collect();
    assert_eq!(scene.rotate(None).await.expect("rotates"), None, "there is nothing to do");
    scene.world.change_key(OTHER_KEY).expect("another key");

    let said = rotate_to_the_end(&scene, None).await;
    let last = said.last().expect("a rotation");
    assert_eq!((last.backups, last.backups_left, last.percent, last.replicating), (4, 0, 100, 0));
    assert!(last.completed_at.is_some() && last.bytes > 0 && last.bytes_left == 0);
    // What backups share is sealed again once.
    let used: u64 = {
        let mut packs = BTreeMap::new();
        for id in inventory::list(&*scene.world.vaults[0]).await.expect("lists") {
            let (inventory, _) = inventory::read(&*scene.world.vaults[0], id).await.expect("reads");
            packs.extend(inventory.packs.iter().map(|p| (p.key, p.length)));
        }
        packs.values().sum()
    };
    assert!(last.bytes.abs_diff(used) < used / 10, "{} bytes were sealed again, and {used} are used", last.bytes);

    let records = scene.records().await;
    for record in &records {
        let is_old = before.contains(&record.id);
        assert_eq!(record.superseded_by.is_some(), is_old, "{record:?}");
        assert_eq!(record.status, Status::Completed);
    }
    assert_eq!(scene.rotate(None).await.expect("rotates"), None, "nothing more is to be done");
    require_new_key_suffices(&scene, &wanted, "at the end").await;
    // The objects of Storage too.
    for region in 0..3 {
        let target = MemoryTarget::new(scene.world.faults.clone());
        let storage = testkit::MemoryStorage::new(scene.world.faults.clone());
        scene.restore_to(region, Selection::Newest, &target, &storage).await.expect("restores");
        assert_eq!(storage.contents(), scene.storage.contents());
    }
    let verified = scene.verify(Level::Everything).await.expect("verifies");
    assert!(verified.is_clean(), "{:?}", verified.record.summary());

    // What was sealed again goes: from the catalog at once, from the vaults when its locks end.
    let pruned = scene.prune(POLICY, false).await.expect("prunes");
    assert_eq!(pruned.record.expired.len(), 4);
    for record in scene.records().await {
        assert_eq!(record.expired_at.is_some(), before.contains(&record.id));
    }
    scene.world.clock.advance(Duration::from_secs(8 * 86_400));
    for _ in 0..3 {
        scene.back_up().await.expect("backs up");
        scene.deliver_events().await;
        scene.world.clock.advance(Duration::from_secs(86_400));
        scene.prune(RetentionPolicy { days: 30, ..POLICY }, false).await.expect("prunes");
    }
    for vault in &scene.world.vaults {
        let keys = list_all(&**vault, "v1/").await.expect("lists");
        let of_old = |key: &&String| match key.parse() {
            Ok(ObjectKey::Inventory(id) | ObjectKey::Manifest(id) | ObjectKey::Schema(id)) => before.contains(&id),
            _ => false,
        };
        assert_eq!(keys.iter().find(of_old), None);
    }
    let opened = scene.verify(Level::Everything).await.expect("verifies");
    assert!(opened.is_clean(), "{:?}", opened.record.summary());
}

#[tokio::test]
async fn the_next_backup_reuses_what_was_sealed_again() {
    let mut scene = Scene::new();
    some_backups(&scene, 2).await;
    scene.world.change_key(OTHER_KEY).expect("another key");
    rotate_to_the_end(&scene, None).await;
    disable_former(&scene);
    scene.source.write("large", 3, "3\tchanged since");
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let newest = scene.records().await.remove(0);
    assert_eq!((newest.status, newest.full_reason.as_deref()), (Status::Completed, None));
    let segments = newest.progress.segments;
    assert!(segments.segments_reused >= 3 && segments.segments_copied == 1, "{segments:?}");
    // Once more: what the database remembers is passed on.
    scene.world.clock.advance(Duration::from_secs(3_600));
    scene.world.change_key(OTHER_KEY + 1).expect("another key");
    let said = rotate_to_the_end(&scene, None).await;
    assert_eq!(said.last().map(|r| r.backups), Some(3));
    disable_former(&scene);
    scene.back_up().await.expect("backs up");
    let newest = scene.records().await.remove(0);
    assert!(newest.warnings.is_empty(), "{:?}", newest.warnings);
    assert_eq!((newest.full_reason.as_deref(), newest.progress.segments.segments_copied), (None, 0));
}

#[tokio::test]
async fn it_goes_on_where_it_was_stopped_while_backups_go_on() {
    let mut scene = Scene::new();
    let mut wanted = some_backups(&scene, 8).await;
    scene.world.change_key(OTHER_KEY).expect("another key");
    let mut said: Vec<RotationRecord> = Vec::new();
    for n in 0..200 {
        // Each look at the clock takes a second.
        let slow = SlowClock::new(Arc::clone(&scene.world.clock), Duration::from_secs(1));
        let rotation = scene.rotate_at(Arc::new(slow), Some(8)).await.expect("rotates").expect("a rotation");
        scene.deliver_events().await;
        if n == 1 || n == 4 {
            // It reuses what is not sealed again yet.
            scene.source.write("large", 40 + n, &format!("{n}\tchanged meanwhile"));
            scene.back_up().await.expect("backs up");
            scene.deliver_events().await;
            let mut rows = scene.source.rows();
            rows.retain(|_, rows| !rows.is_empty());
            wanted.insert(scene.records().await[0].id.root(), rows);
        }
        // `prune` leaves alone what no inventory names yet.
        if n % 3 == 0 {
            scene.world.clock.advance(Duration::from_secs(30 * 3_600));
            scene.prune(RetentionPolicy { days: 400, ..POLICY }, false).await.expect("prunes");
        }
        if let Some(before) = said.last() {
            assert!(rotation.percent >= before.percent && rotation.bytes >= before.bytes, "{rotation:?} {before:?}");
            assert_eq!(rotation.id, before.id, "one rotation");
        }
        let done = rotation.state == RotationState::Done;
        said.push(rotation);
        if done {
            break;
        }
    }
    assert_eq!(said.last().map(|r| r.state), Some(RotationState::Done), "{:?}", said.last());
    assert!(said.len() > 6, "it took {} runs", said.len());
    require_new_key_suffices(&scene, &wanted, "in pieces").await;
}

#[tokio::test]
async fn a_run_survives_the_failure_of_every_call_and_its_own_death_at_each() {
    let clean = prepared().await;
    let from = clean.0.world.faults.steps();
    let run = clean.0.rotate(None).await.expect("rotates").expect("a rotation");
    let steps = clean.0.world.faults.steps() - from;
    assert_eq!(run.backups, 2);
    assert!(steps > 50, "{steps}");
    for step in 1..=steps {
        for disturbance in 0..4 {
            let what = format!("seed {SEED}, call {step} of {steps}, disturbance {disturbance}");
            let (scene, wanted) = prepared().await;
            let at = scene.world.faults.steps() + step;
            match When::ALL.get(disturbance) {
                Some(when) => {
                    scene.world.faults.arm(at, *when, ErrorKind::Unavailable);
                    let _ = scene.rotate(None).await;
                    scene.world.faults.heal();
                }
                None => {
                    let _ = scene.killed_at(at, std::pin::pin!(scene.rotate(None))).await;
                }
            }
            scene.require_whole_inventories(&what).await;
            scene.deliver_events().await;
            scene.world.clock.advance(Duration::from_secs(ROTATE_LEASE_S as u64 + 1));
            if step % 2 == 0 {
                scene.replicate().reconcile().await.expect("reconciles");
            }
            let mut said = rotate_to_the_end(&scene, None).await;
            let last = said.pop().unwrap_or_else(|| panic!("{what}: no rotation"));
            assert_eq!((last.backups_left, last.not_sealed.len()), (0, 0), "{what}");
            require_new_key_suffices(&scene, &wanted, &what).await;
            let records = scene.records().await;
            assert!(records.iter().all(SnapshotRecord::is_settled), "{what}");
        }
    }
}

async fn prepared() -> (Scene, BTreeMap<[u8; 10], Rows>) {
    let mut scene = Scene::with_objects();
    let wanted = some_backups(&scene, 2).await;
    scene.world.change_key(OTHER_KEY).expect("another key");
    (scene, wanted)
}

#[tokio::test]
async fn a_pin_passes_on_and_stays_where_it_was_taken_off() {
    let (scene, _) = prepared().await;
    let old = scene.records().await[1].id;
    let at = scene.records().await[1].started_at;
    let pin = Pin { at, note: Some("the last of the year".to_owned()) };
    catalog::amend(&*scene.world.catalog, old, |r| {
        r.pin = Some(pin.clone());
        Ok(true)
    })
    .await
    .expect("pins");
    rotate_to_the_end(&scene, None).await;
    let (before, after) = (record(&scene, old).await, old.next_generation());
    assert_eq!((before.pin, before.superseded_by), (None, Some(after)));
    assert_eq!(record(&scene, after).await.pin, Some(pin));
    catalog::amend(&*scene.world.catalog, after, |r| {
        r.pin = None;
        Ok(true)
    })
    .await
    .expect("takes the pin off");
    scene.back_up().await.expect("backs up");
    rotate_to_the_end(&scene, None).await;
    assert_eq!(record(&scene, after).await.pin, None);
}

async fn record(scene: &Scene, id: SnapshotId) -> SnapshotRecord {
    catalog::get(&*scene.world.catalog, id).await.expect("reads").expect("a record").value
}

#[tokio::test]
async fn what_is_damaged_is_told_and_keeps_the_others_from_nothing() {
    let mut scene = Scene::new();
    some_backups(&scene, 1).await;
    // The second holds nothing of the first.
    scene.settings.incremental = false;
    some_backups(&scene, 1).await;
    let records = scene.records().await;
    let (damaged, sound) = (records[1].id, records[0].id);
    let (inventory, _) = inventory::read(&*scene.world.vaults[0], damaged).await.expect("reads");
    let rotten = scene.world.vaults[0].rot(&inventory.packs[0].key.to_string(), |bytes| bytes[100] ^= 1);
    assert!(rotten);
    scene.world.change_key(OTHER_KEY).expect("another key");
    let said = scene.rotate(None).await.expect("rotates").expect("a rotation");
    assert_eq!((said.backups, said.backups_left, said.state), (1, 1, RotationState::Running));
    let [not_sealed] = said.not_sealed.as_slice() else { panic!("{said:?}") };
    assert_eq!(not_sealed.id, damaged);
    assert!(not_sealed.error.contains(&inventory.packs[0].key.to_string()), "{}", not_sealed.error);
    assert_eq!(record(&scene, sound).await.superseded_by, Some(sound.next_generation()));
    // It is damaged in one vault only, and so it stays.
    scene.deliver_events().await;
    let pruned = scene.prune(POLICY, false).await.expect("prunes");
    assert!(pruned.record.expired.iter().all(|e| e.id == sound), "{:?}", pruned.record.expired);
}

#[tokio::test]
async fn what_comes_before_a_damaged_pack_is_sealed_once_and_the_rest_when_it_is_put_right() {
    let mut scene = Scene::new();
    let random = SeededEntropy::new(SEED);
    // More than one pack holds, however well it is compressed.
    for place in 0..500 {
        let mut bytes = [0; 45_000];
        random.fill(&mut bytes).expect("randomness");
        scene.source.write("large", place, &format!("{place}\t{}", STANDARD.encode(bytes)));
    }
    let wanted = some_backups(&scene, 1).await;
    let id = scene.records().await[0].id;
    let (inventory, _) = inventory::read(&*scene.world.vaults[0], id).await.expect("reads");
    let last = inventory.packs.last().expect("a pack").key.to_string();
    assert!(inventory.packs.len() > 1, "{:?}", inventory.packs);
    let damage = |scene: &Scene| scene.world.vaults[0].rot(&last, |bytes| bytes[100] ^= 1);
    assert!(damage(&scene));
    scene.world.change_key(OTHER_KEY).expect("another key");
    let mut sealed = Vec::new();
    for _ in 0..3 {
        let said = scene.rotate(None).await.expect("rotates").expect("a rotation");
        let [not_sealed] = said.not_sealed.as_slice() else { panic!("{said:?}") };
        assert!(not_sealed.error.contains(&last), "{}", not_sealed.error);
        sealed.push((said.bytes, list_all(&*scene.world.vaults[0], "v1/packs/").await.expect("lists").len()));
        scene.world.clock.advance(Duration::from_secs(900));
    }
    assert!(sealed[0].1 > inventory.packs.len(), "what comes before it is sealed: {sealed:?}");
    assert_eq!(sealed[1..], [sealed[0]; 2], "and not again");
    assert!(damage(&scene), "put right");
    rotate_to_the_end(&scene, None).await;
    require_new_key_suffices(&scene, &wanted, "put right").await;
}

#[tokio::test]
async fn it_is_not_done_while_a_backup_is_being_made_and_what_that_stored_under_the_old_key_is_not_used() {
    let mut scene = large_scene();
    some_backups(&scene, 1).await;
    for place in 0..30_000 {
        scene.source.write("large", place, &format!("{place}\tall of it is new"));
    }
    let order = BackupOrder::new(Trigger::Schedule);
    let BackupOutcome::HandedOver(begun) = scene.run(order, Some(6)).await.expect("hands over") else {
        panic!("it fits")
    };
    assert!(!list_all(&*scene.world.vaults[0], CHECKPOINTS).await.expect("lists").is_empty());
    scene.world.change_key(OTHER_KEY).expect("another key");
    for _ in 0..3 {
        let rotation = scene.rotate(None).await.expect("rotates").expect("a rotation");
        scene.deliver_events().await;
        assert_eq!((rotation.state, rotation.backups_left), (RotationState::Running, 0));
        scene.world.clock.advance(Duration::from_secs(10));
    }
    let mut order = scene.world.queue.take().expect("an order");
    while let BackupOutcome::HandedOver(_) = scene.run(order, None).await.expect("goes on") {
        order = scene.world.queue.take().expect("an order");
    }
    scene.deliver_events().await;
    assert_eq!(record(&scene, begun.id).await.status, Status::Completed);
    rotate_to_the_end(&scene, None).await;
    // What it had stored under the old key was read again.
    let (inventory, _) = inventory::read(&*scene.world.vaults[0], begun.id).await.expect("reads");
    let attempts: BTreeSet<_> = inventory.packs.iter().map(|p| p.key.to_string()[..44].to_owned()).collect();
    assert!(!attempts.contains(&format!("v1/packs/{}", begun.attempt.expect("an attempt").id)[..44]), "{attempts:?}");
    disable_former(&scene);
    let target = MemoryTarget::new(scene.world.faults.clone());
    scene.restore(2, Selection::Newest, &target).await.expect("restores");
}

#[tokio::test]
async fn a_lost_catalog_keeps_prune_from_nothing_and_a_pin_on_any_generation_holds() {
    let (mut scene, wanted) = prepared().await;
    rotate_to_the_end(&scene, None).await;
    let pinned = scene.records().await.iter().filter(|r| r.superseded_by.is_some()).map(|r| r.id).max().expect("one");
    // Somebody who has the old id.
    let pin = Pin { at: scene.world.clock.now(), note: None };
    catalog::amend(&*scene.world.catalog, pinned, |r| {
        r.pin = Some(pin.clone());
        Ok(true)
    })
    .await
    .expect("pins");
    scene.world.clock.advance(Duration::from_secs(20 * 86_400));
    some_backups(&scene, 1).await;
    scene.prune(POLICY, false).await.expect("prunes");
    let last = record(&scene, pinned.next_generation()).await;
    assert_eq!(last.expired_at, None, "it is kept by the pin");

    // Without a record the generation before goes all the same.
    scene.world.catalog = Arc::new(MemoryCatalog::new(scene.world.faults.clone()));
    let ports = scene.world.ports();
    rebuild(&*scene.world.catalog, &ports, ports.primary(), &*scene.world.clock).await.expect("rebuilds");
    scene.replicate().reconcile().await.expect("reconciles");
    let policy = RetentionPolicy { days: 400, ..POLICY };
    let pruned = scene.prune(policy, false).await.expect("prunes");
    assert!(pruned.record.expired.iter().any(|e| e.id == pinned), "{:?}", pruned.record.expired);
    scene.world.clock.advance(Duration::from_secs(40 * 86_400));
    scene.prune(policy, false).await.expect("prunes when the locks have ended");
    for vault in &scene.world.vaults {
        assert!(vault.head(&ObjectKey::Inventory(pinned)).await.expect("looks").is_none());
    }
    let left = inventory::list(&*scene.world.vaults[1]).await.expect("lists");
    assert!(left.iter().any(|id| wanted.contains_key(&id.root())));
    scene.prune(policy, false).await.expect("prunes again");
}

#[tokio::test]
async fn without_the_former_key_it_says_which_key_is_missing() {
    let (mut scene, _) = prepared().await;
    scene.world.former.clear();
    assert_eq!(scene.rotate(None).await.expect("rotates"), None, "nobody asked for a rotation");
    let target = MemoryTarget::new(scene.world.faults.clone());
    let e = scene.restore(0, Selection::Newest, &target).await.expect_err("the key is not there");
    assert_eq!(e.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn two_runs_at_once_are_one() {
    let (scene, wanted) = prepared().await;
    let (first, second) = tokio::join!(scene.rotate(None), scene.rotate(None));
    let (one, other) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(one.expect("one of them works").map(|r| r.backups), Some(2));
    assert_eq!(other.expect_err("the other does not").kind(), ErrorKind::Conflict);
    scene.deliver_events().await;
    rotate_to_the_end(&scene, None).await;
    require_new_key_suffices(&scene, &wanted, "two at once").await;
}

//! Expiry and deletion, in memory: what must stay stays, what nobody needs goes, whatever fails in between.

use crate::incremental::large_scene;
use crate::scene::{SEED, Scene};
use engine::catalog::{self, Finding, FindingCode, Pin, SnapshotRecord, Status, Trigger};
use engine::clock::Clock;
use engine::error::ErrorKind;
use engine::id::SnapshotId;
use engine::inventory;
use engine::layout::ObjectKey;
use engine::ops::backup::BackupOutcome;
use engine::ops::prune::{PruneOutcome, PruneRecord};
use engine::ops::restore::Selection;
use engine::queue::BackupOrder;
use engine::retention::{Reason, RetentionPolicy};
use engine::vault::{Vault, VaultRole};
use engine::versions::{self, Versions};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use testkit::{ManualClock, MemoryTarget, When};

const POLICY: RetentionPolicy =
    RetentionPolicy { days: 3, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The objects of a vault, all versions.
async fn keys(vault: &dyn Versions) -> BTreeSet<String> {
    versions::list_all(vault, "v1/").await.expect("lists").into_iter().map(|v| v.key).collect()
}

/// What the inventories of a vault name, and they themselves.
async fn needed(vault: &dyn Vault) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for id in inventory::list(vault).await.expect("lists") {
        let (inventory, _) = inventory::read(vault, id).await.expect("reads");
        needed.extend(inventory.objects().map(|o| o.key.to_string()));
        needed.insert(inventory.key().to_string());
    }
    needed
}

async fn ids(vault: &dyn Vault) -> Vec<SnapshotId> {
    inventory::list(vault).await.expect("lists")
}

fn id_of(outcome: BackupOutcome) -> SnapshotId {
    match outcome {
        BackupOutcome::Committed(record) => record.id,
        other => panic!("not committed: {other:?}"),
    }
}

/// One day: something changes, a backup is made and replicated. Gives its id.
async fn live_a_day(scene: &Scene, day: usize) -> SnapshotId {
    scene.source.write("large", (day * 13) % 95, &format!("{day}\tchanged on day {day}"));
    let id = id_of(scene.back_up().await.expect("backs up"));
    scene.deliver_events().await;
    scene.world.clock.advance(DAY - Duration::from_millis(1));
    id
}

/// Every snapshot that is left restores, from every vault.
async fn require_restorable(scene: &Scene, what: &str) {
    scene.require_whole_inventories(what).await;
    for region in 0..3 {
        for id in ids(&*scene.world.vaults[region]).await {
            let target = MemoryTarget::new(scene.world.faults.clone());
            scene
                .restore(region, Selection::Snapshot(id), &target)
                .await
                .unwrap_or_else(|e| panic!("{what}: {id} from vault {region}: {e}"));
        }
    }
}

#[tokio::test]
async fn what_expired_goes_everywhere_and_what_others_use_stays() {
    let scene = Scene::new();
    let mut made = Vec::new();
    for day in 0..12 {
        made.push(live_a_day(&scene, day).await);
        let pruned = scene.prune(POLICY, false).await.expect("prunes");
        assert_eq!(pruned.record.outcome, PruneOutcome::Done);
        require_restorable(&scene, &format!("day {day}")).await;
    }
    for vault in &scene.world.vaults {
        // The oldest of these is 3 days old to the hour, and no older; the younger inventories are locked for a week from when they were put.
        let left = ids(&**vault).await;
        assert!(left.ends_with(&made[9..]), "{left:?}");
        assert!(!left.contains(&made[0]) && !left.contains(&made[3]), "{left:?}");
    }
    // Nothing but what the inventories name is left, once the locks and the grace period are over.
    for day in 0..20 {
        live_a_day(&scene, 12 + day).await;
        scene.prune(POLICY, false).await.expect("prunes");
    }
    scene.world.clock.advance(20 * DAY);
    for day in 0..4 {
        live_a_day(&scene, 40 + day).await;
        scene.prune(POLICY, false).await.expect("prunes");
    }
    for vault in &scene.world.vaults {
        let left = ids(&**vault).await;
        assert_eq!(left.len(), 4, "{left:?}");
        let (there, needed) = (keys(&**vault).await, needed(&**vault).await);
        let more: Vec<_> = there.difference(&needed).collect();
        assert!(more.is_empty(), "{more:?}");
        assert!(needed.is_subset(&there));
    }
    require_restorable(&scene, "in the end").await;
    let runs = catalog::list::<PruneRecord>(&*scene.world.catalog, None, 100).await.expect("lists").records;
    assert_eq!(runs.len(), 36, "each run is recorded");
    let expired: Vec<SnapshotId> = runs.iter().flat_map(|r| r.expired.iter().map(|e| e.id)).collect();
    let once: BTreeSet<SnapshotId> = expired.iter().copied().collect();
    assert_eq!(expired.len(), once.len(), "each expires once");
    let said = scene.records().await.into_iter().filter(|r| r.expired_at.is_some()).map(|r| r.id);
    assert_eq!(said.collect::<BTreeSet<_>>(), once);
    assert!(once.len() >= 32 && made.iter().all(|id| once.contains(id)), "{}", once.len());
}

#[tokio::test]
async fn a_snapshot_that_expired_stays_expired() {
    let scene = Scene::new();
    for day in 0..12 {
        live_a_day(&scene, day).await;
    }
    let pruned = scene.prune(POLICY, false).await.expect("prunes");
    let expired: BTreeSet<SnapshotId> = pruned.record.expired.iter().map(|e| e.id).collect();
    assert_eq!(expired.len(), 9);
    let before = keys(&*scene.world.vaults[2]).await;
    // Late events, and the reconciler, bring nothing back.
    for id in &expired {
        let _ = scene.replicate().landed(ObjectKey::Inventory(*id)).await;
    }
    let report = scene.replicate().reconcile().await.expect("reconciles");
    assert_eq!((report.repaired, report.failed), (Vec::new(), Vec::new()));
    assert_eq!(keys(&*scene.world.vaults[2]).await, before);
    for record in scene.records().await {
        assert_eq!(record.expired_at.is_some(), expired.contains(&record.id));
        assert_eq!(record.status, Status::Completed, "a status never goes back");
    }
    // The second run finds nothing new.
    let again = scene.prune(POLICY, false).await.expect("prunes");
    assert!(again.record.expired.is_empty());
}

#[tokio::test]
async fn a_dry_run_says_all_and_changes_nothing() {
    let scene = Scene::new();
    for day in 0..6 {
        live_a_day(&scene, day).await;
    }
    let steps = scene.world.faults.steps() as usize;
    let planned = scene.prune(POLICY, true).await.expect("plans");
    let writes: Vec<_> = scene.world.faults.calls()[steps..]
        .iter()
        .filter(|c| !matches!(c.operation, "list" | "list_versions" | "get" | "head"))
        .map(ToString::to_string)
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    let record = planned.record;
    assert_eq!((record.snapshots, record.to_expire, record.outcome), (6, 3, PruneOutcome::Planned));
    assert_eq!(record.kept_by, BTreeMap::from([(Reason::Days, 3), (Reason::Floor, 1)]));
    let done = scene.prune(POLICY, false).await.expect("prunes");
    assert_eq!(done.record.to_expire, record.to_expire);
    let would: Vec<_> = planned.decisions.iter().filter(|d| d.expires()).map(|d| d.id).collect();
    assert_eq!(done.record.expired.iter().map(|e| e.id).collect::<Vec<_>>(), would);
}

/// Weeks of backups, with everything ripe for deletion that ever will be.
async fn ripe() -> Scene {
    let scene = Scene::new();
    for day in 0..3 {
        live_a_day(&scene, day).await;
    }
    scene.world.clock.advance(10 * DAY);
    live_a_day(&scene, 3).await;
    scene.prune(POLICY, false).await.expect("prunes");
    scene.world.clock.advance(2 * DAY);
    live_a_day(&scene, 4).await;
    scene
}

#[tokio::test]
async fn an_empty_or_failed_listing_deletes_nothing() {
    for vault in 0..3 {
        let scene = ripe().await;
        let before: Vec<_> = scene.world.vaults.iter().map(|v| v.objects()).collect();
        scene.world.faults.break_service(scene.world.vaults[vault].service(), ErrorKind::Unavailable);
        assert_eq!(scene.prune(POLICY, false).await.expect_err("fails").kind(), ErrorKind::Unavailable);
        scene.world.faults.heal();
        let after: Vec<_> = scene.world.vaults.iter().map(|v| v.objects()).collect();
        assert!(before == after, "a listing of vault {vault} that failed");
        // A bucket that answers as if it were empty.
        for key in scene.world.vaults[vault].objects().keys() {
            scene.world.vaults[vault].remove(key);
        }
        let before: Vec<_> = scene.world.vaults.iter().map(|v| v.objects()).collect();
        let e = scene.prune(POLICY, false).await.expect_err("refuses");
        assert!(e.to_string().starts_with("nothing was deleted: the catalog says that backup"), "{e}");
        let after: Vec<_> = scene.world.vaults.iter().map(|v| v.objects()).collect();
        assert!(before == after, "an empty listing of vault {vault}");
    }
}

#[tokio::test]
async fn an_inventory_that_is_hidden_or_cannot_be_read_deletes_nothing() {
    let scene = ripe().await;
    let id = *ids(&*scene.world.vaults[0]).await.last().expect("a snapshot");
    let key = ObjectKey::Inventory(id).to_string();
    let vault = &scene.world.vaults[0];
    let count = async || keys(&**vault).await.len();
    let before = count().await;
    assert!(vault.rot(&key, |bytes| bytes[0] ^= 1));
    assert_eq!(scene.prune(POLICY, false).await.expect_err("refuses").kind(), ErrorKind::Corrupt);
    assert!(vault.rot(&key, |bytes| bytes[0] ^= 1));
    let newer = vault.get(&ObjectKey::Inventory(id)).await.expect("reads");
    let newer = String::from_utf8(newer.to_vec()).expect("text").replacen("\"format\": 1", "\"format\": 2", 1);
    vault.plant(&key, newer);
    assert_eq!(scene.prune(POLICY, false).await.expect_err("refuses").kind(), ErrorKind::Unsupported);
    vault.hide(&key);
    let e = scene.prune(POLICY, false).await.expect_err("refuses");
    assert!(e.to_string().contains("hidden by a delete marker"), "{e}");
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn a_clock_that_jumps_deletes_nothing() {
    let scene = Scene::new();
    for day in 0..5 {
        live_a_day(&scene, day).await;
    }
    // An attempt that stored something and was never heard of again.
    let attempt = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id");
    for vault in &scene.world.vaults {
        vault.plant(&ObjectKey::Pack(attempt, 0).to_string(), "left behind");
    }
    let before: Vec<_> = scene.world.vaults.iter().map(|v| v.objects()).collect();
    let now = scene.world.clock.now();
    for seconds in [10 * 365 * 24 * 3_600, -10 * 365 * 24 * 3_600] {
        let clock = ManualClock::held();
        clock.set(now.plus_s(seconds));
        let policy = RetentionPolicy { days: 30, ..POLICY };
        for _ in 0..3 {
            scene.prune_at(Arc::new(clock.clone()), policy, false).await.expect("prunes");
        }
        let after: Vec<_> = scene.world.vaults.iter().map(|v| v.objects()).collect();
        assert!(before == after, "a jump of {seconds} s");
    }
}

#[tokio::test]
async fn what_is_pinned_or_being_restored_stays() {
    let scene = Scene::new();
    let mut made = Vec::new();
    for day in 0..8 {
        made.push(live_a_day(&scene, day).await);
    }
    let pin = |r: &mut SnapshotRecord| {
        r.pin = Some(Pin { at: r.started_at, note: None });
        Ok(true)
    };
    catalog::amend(&*scene.world.catalog, made[0], pin).await.expect("pins");
    let target = MemoryTarget::new(scene.world.faults.clone());
    scene.restore(1, Selection::Snapshot(made[1]), &target).await.expect("restores");
    let pruned = scene.prune(POLICY, false).await.expect("prunes").record;
    assert_eq!((pruned.kept_by[&Reason::Pinned], pruned.kept_by[&Reason::Restoring]), (1, 1));
    let expired: Vec<_> = pruned.expired.iter().map(|e| e.id).collect();
    assert_eq!(expired, made[2..5]);
    // A day later the restore is long over.
    scene.world.clock.advance(DAY);
    live_a_day(&scene, 8).await;
    let pruned = scene.prune(POLICY, false).await.expect("prunes").record;
    assert!(pruned.expired.iter().any(|e| e.id == made[1]) && pruned.expired.iter().all(|e| e.id != made[0]));
}

#[tokio::test]
async fn a_lock_reaches_as_far_as_the_days_of_the_newest_snapshot_that_needs_the_object() {
    let scene = Scene::new();
    for day in 0..10 {
        live_a_day(&scene, day).await;
        let pruned = scene.prune(RetentionPolicy { days: 20, ..POLICY }, false).await.expect("prunes");
        assert!(pruned.record.vaults.iter().all(|v| v.locked_objects == 0 && v.removed_objects == 0));
    }
    for vault in &scene.world.vaults {
        let mut wanted = BTreeMap::new();
        for id in ids(&**vault).await {
            let (inventory, _) = inventory::read(&**vault, id).await.expect("reads");
            for key in inventory.objects().map(|o| o.key).chain([inventory.key()]) {
                let until = wanted.entry(key).or_insert(inventory.taken_at);
                *until = inventory.taken_at.max(*until);
            }
        }
        let shared = wanted.len();
        for version in versions::list_all(&**vault, "v1/").await.expect("lists") {
            let key: ObjectKey = version.key.parse().expect("ours");
            let Some(taken_at) = wanted.remove(&key) else { continue };
            let lock = vault.lock_of(&key, &version.version).await.expect("looks").expect("is locked");
            assert!(lock.until >= taken_at.plus_s(20 * 24 * 3_600), "{key} is locked until {}", lock.until);
            assert!(lock.until <= taken_at.plus_s(30 * 24 * 3_600), "{key} is locked until {}", lock.until);
        }
        assert!(wanted.is_empty() && shared > 30);
    }
    let steps = scene.world.faults.steps() as usize;
    scene.prune(RetentionPolicy { days: 20, ..POLICY }, false).await.expect("prunes");
    let extended = scene.world.faults.calls()[steps..].iter().filter(|c| c.operation == "extend_lock").count();
    assert_eq!(extended, 0, "what reaches far enough is left alone");
}

#[tokio::test]
async fn what_an_unfinished_attempt_stored_serves_the_next_and_goes_when_nobody_can_use_it() {
    let scene = large_scene();
    let made = scene.run(BackupOrder::new(Trigger::Schedule), Some(6)).await.expect("runs");
    assert!(matches!(made, BackupOutcome::HandedOver(_)), "{made:?}");
    let left = keys(&*scene.world.vaults[0]).await;
    assert!(
        left.iter().any(|key| key.starts_with("v1/packs/"))
            && left.iter().any(|key| key.starts_with("v1/checkpoints/"))
    );
    // Nobody goes on with it for days.
    for _ in 0..3 {
        scene.world.clock.advance(DAY);
        scene.replicate().reconcile().await.expect("reconciles");
        scene.prune(POLICY, false).await.expect("prunes");
    }
    assert!(left.is_subset(&keys(&*scene.world.vaults[0]).await), "nothing newer is there: it may be used");
    // All that it had copied has changed, so the next snapshot needs none of it.
    for place in (0..30_000).step_by(10) {
        scene.source.write("large", place, "changed");
    }
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    assert!(left.is_disjoint(&needed(&*scene.world.vaults[0]).await));
    scene.prune(POLICY, false).await.expect("prunes");
    assert!(left.is_subset(&keys(&*scene.world.vaults[0]).await), "marked, and not deleted yet");
    // Its locks run out meanwhile.
    scene.world.clock.advance(7 * DAY);
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let pruned = scene.prune(POLICY, false).await.expect("prunes");
    assert!(left.is_disjoint(&keys(&*scene.world.vaults[0]).await), "{:?}", pruned.record.vaults[0]);
    require_restorable(&scene, "in the end").await;
}

#[tokio::test]
async fn two_runs_at_once_are_one_run_and_a_refusal() {
    let scene = ripe().await;
    let (one, other) = tokio::join!(scene.prune(POLICY, false), scene.prune(POLICY, false));
    let outcomes = [one.map(|p| p.record.outcome), other.map(|p| p.record.outcome)];
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    let refused = outcomes.into_iter().find_map(Result::err).expect("one is refused");
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
}

/// What is there once everything was let to come to its end: nothing but what the policy keeps.
async fn settle(scene: &Scene, what: &str) -> Vec<BTreeSet<String>> {
    scene.world.faults.heal();
    for _ in 0..2 {
        // Leases run out.
        scene.world.clock.advance(Duration::from_secs(20 * 60));
        scene.prune(POLICY, false).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        scene.world.clock.advance(DAY);
    }
    require_restorable(scene, what).await;
    let mut ends = Vec::new();
    for vault in &scene.world.vaults {
        ends.push(keys(&**vault).await);
    }
    ends
}

#[tokio::test]
async fn prune_survives_the_failure_of_every_call() {
    let clean = ripe().await;
    let before = clean.world.faults.steps();
    clean.prune(POLICY, false).await.expect("prunes");
    let steps = clean.world.faults.steps() - before;
    let wanted = settle(&clean, "without faults").await;
    assert!(steps > 60, "the loop covers something: {steps} calls");
    let deleted = clean.world.faults.count("delete_version");
    assert!(deleted > 20, "and something goes: {deleted} deletions");
    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        for step in 1..=steps {
            for when in When::ALL {
                let what = format!("seed {SEED}, call {step} of {steps}, {when:?}, {kind}");
                let scene = ripe().await;
                scene.world.faults.arm(before + step, when, kind);
                let _ = scene.prune(POLICY, false).await;
                scene.world.faults.heal();
                require_restorable(&scene, &what).await;
                assert_eq!(settle(&scene, &what).await, wanted, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn prune_that_is_killed_at_any_call_is_made_good_by_the_next() {
    let clean = ripe().await;
    let before = clean.world.faults.steps();
    clean.prune(POLICY, false).await.expect("prunes");
    let steps = clean.world.faults.steps() - before;
    let wanted = settle(&clean, "without a kill").await;
    for step in 1..=steps {
        let what = format!("seed {SEED}, killed at call {step} of {steps}");
        let scene = ripe().await;
        if let Some(done) = scene.killed_at(before + step, pin!(scene.prune(POLICY, false))).await {
            done.expect("prunes");
        }
        require_restorable(&scene, &what).await;
        assert_eq!(settle(&scene, &what).await, wanted, "{what}");
    }
}

#[tokio::test]
async fn what_a_given_up_backup_left_expires_as_others_do_and_counts_for_nothing() {
    let scene = Scene::new();
    let given_up = live_a_day(&scene, 0).await;
    // It was given up before its last write came to be.
    let fail = |r: &mut SnapshotRecord| {
        (r.status, r.completed_at, r.error) = (Status::Failed, Some(r.started_at), Some("given up".to_owned()));
        Ok(true)
    };
    catalog::amend(&*scene.world.catalog, given_up, fail).await.expect("amends");
    for day in 1..12 {
        live_a_day(&scene, day).await;
        scene.prune(POLICY, false).await.expect("prunes");
    }
    for vault in &scene.world.vaults {
        assert!(!ids(&**vault).await.contains(&given_up));
    }
    require_restorable(&scene, "in the end").await;
}

#[tokio::test]
async fn a_backup_that_no_vault_could_give_back_is_none_of_the_last_good_ones() {
    let scene = Scene::new();
    let good = live_a_day(&scene, 0).await;
    let broken = live_a_day(&scene, 1).await;
    let attempt = scene.records().await[0].attempt.expect("an attempt").id;
    let unreadable =
        Finding { code: FindingCode::Unreadable, object: ObjectKey::Pack(attempt, 0), message: String::new() };
    let mark = |r: &mut SnapshotRecord| {
        for role in VaultRole::ALL {
            r.mark_verified(role, vec![unreadable.clone()], |_| false, r.started_at);
        }
        Ok(true)
    };
    catalog::amend(&*scene.world.catalog, broken, mark).await.expect("amends");
    scene.world.clock.advance(20 * DAY);
    let planned = scene.prune(RetentionPolicy { days: 0, ..POLICY }, true).await.expect("plans");
    let kept = planned.decisions.iter().filter(|d| d.kept_by.contains(&Reason::Floor)).map(|d| d.id);
    assert_eq!(kept.collect::<Vec<_>>(), [good]);
}

#[tokio::test]
async fn an_inventory_of_which_only_a_marker_is_left_is_missed() {
    let scene = Scene::new();
    let id = live_a_day(&scene, 0).await;
    let key = ObjectKey::Inventory(id).to_string();
    scene.world.vaults[2].remove(&key);
    scene.world.vaults[2].hide(&key);
    let e = scene.prune(POLICY, false).await.expect_err("refused");
    assert!(e.to_string().contains("its inventory is not listed"), "{e}");
}

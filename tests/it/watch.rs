//! What is noticed because it did not happen, and what the backups take.

use crate::scene::{SEED, Scene};
use engine::catalog::{self, SnapshotRecord};
use engine::error::{ErrorKind, Result};
use engine::limits::{STALLED_S, USAGE_EVERY_S};
use engine::ops::verify::Level;
use engine::ops::watch::{Prices, Watch, Watched};
use engine::retention::RetentionPolicy;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use testkit::{KeyState, When};

const HOUR: Duration = Duration::from_secs(60 * 60);
const POLICY: RetentionPolicy =
    RetentionPolicy { days: 3, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };

async fn watch(scene: &Scene) -> Result<Watched> {
    let world = &scene.world;
    let watch = Watch {
        vaults: world.ports(),
        versions: world.versions(),
        keys: world.keys.clone().map(|keys| keys as _),
        second: world.second.clone(),
        catalog: Arc::clone(&world.catalog) as _,
        clock: Arc::clone(&world.clock) as _,
        entropy: Arc::clone(&world.entropy) as _,
        prices: Prices::built_in().expect("prices"),
    };
    watch.run().await
}

#[track_caller]
fn about(age: Option<f64>, hours: f64) {
    let age = age.expect("is known");
    assert!((age - hours).abs() < 0.1, "{age} is not about {hours}");
}

#[tokio::test]
async fn what_did_not_happen_grows_older() {
    let scene = Scene::new();
    let none = watch(&scene).await.expect("watches").vitals;
    assert_eq!((none.newest_backup_age, none.last_drill_age, none.last_verification_age), (None, None, None));

    scene.back_up().await.expect("backs up");
    scene.world.clock.advance(5 * HOUR);
    let waiting = watch(&scene).await.expect("watches").vitals;
    assert_eq!(waiting.newest_backup_age, None, "it is not in the other regions yet");
    assert!((waiting.replication_lag - 5.0).abs() < 0.1);
    assert_eq!(waiting.stalled_backups, 1);
    about(waiting.last_drill_age, 5.0);

    scene.deliver_events().await;
    let whole = watch(&scene).await.expect("watches").vitals;
    about(whole.newest_backup_age, 5.0);
    assert_eq!((whole.replication_lag, whole.stalled_backups, whole.damaged_copies), (0.0, 0, 0));

    scene.verify(Level::Due).await.expect("verifies");
    scene.prune(POLICY, false).await.expect("prunes");
    scene.world.clock.advance(30 * HOUR);
    let late = watch(&scene).await.expect("watches").vitals;
    about(late.newest_backup_age, 35.0);
    about(late.last_verification_age, 30.0);
    about(late.last_prune_age, 30.0);
    about(late.last_drill_age, 35.0);
    // A backup of a part leaves the rest as old as it was.
    let id = scene.records().await[0].id;
    let named = |part: Option<&str>| part.map(str::to_owned);
    for (part, is_whole) in [(named(Some("small")), false), (named(Some("database")), true), (None, true)] {
        let set = |r: &mut SnapshotRecord| {
            r.part.clone_from(&part);
            Ok(true)
        };
        catalog::amend(&*scene.world.catalog, id, set).await.expect("amends");
        let seen = watch(&scene).await.expect("watches").vitals;
        assert_eq!(seen.newest_backup_age.is_some(), is_whole, "{part:?}");
    }
    // A run that only says what would be done is none.
    scene.prune(POLICY, true).await.expect("plans");
    about(watch(&scene).await.expect("watches").vitals.last_prune_age, 30.0);
}

#[tokio::test]
async fn what_is_broken_is_counted() {
    let scene = Scene::new();
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let pack = scene.world.vaults[1].objects().into_keys().find(|k| k.contains("/packs/")).expect("a pack");
    scene.world.vaults[1].remove(&pack);
    scene.verify(Level::Due).await.expect("verifies");
    scene.world.keys[0].set_state(KeyState::Disabled);
    scene.world.keys[2].set_state(KeyState::Missing);
    let seen = watch(&scene).await.expect("watches");
    assert_eq!((seen.vitals.damaged_copies, seen.vitals.keys_unusable), (1, 2));
    assert!(seen.keys[0].contains("eu-west-1") && seen.keys[1].contains("ap-southeast-1"), "{:?}", seen.keys);
    scene.replicate().reconcile().await.expect("reconciles");
    assert_eq!(watch(&scene).await.expect("watches").vitals.damaged_copies, 0);
}

#[tokio::test]
async fn what_backups_take_is_counted_once_a_day_and_shared_objects_once() {
    let scene = Scene::new();
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let first = watch(&scene).await.expect("watches").usage.expect("counts");
    assert_eq!((first.vaults.len(), first.backups.len(), first.growth_bytes_a_day), (3, 1, None));
    let stored: u64 = scene.world.vaults[0].objects().values().map(|bytes| bytes.len() as u64).sum();
    assert_eq!(first.vaults[0].bytes, stored);
    assert_eq!(first.backups[0].bytes, first.backups[0].own_bytes);
    assert!(first.usd_a_month() > 0.0);
    assert!(watch(&scene).await.expect("watches").usage.is_none(), "not again at once");

    scene.world.clock.advance(Duration::from_secs(USAGE_EVERY_S as u64));
    scene.source.write("large", 3, "3\tchanged");
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let seen = watch(&scene).await.expect("watches");
    let second = seen.usage.expect("counts");
    let [older, newer] = second.backups.as_slice() else { panic!("two backups") };
    assert!(older.own_bytes < older.bytes && newer.own_bytes < newer.bytes, "they share packs");
    let shares = older.share_bytes + newer.share_bytes;
    let needed = older.own_bytes + newer.own_bytes + (older.bytes - older.own_bytes);
    assert!(needed.abs_diff(shares) <= 2, "{shares} of {needed}: each object once, but for halves of bytes");
    assert!(second.growth_bytes_a_day.expect("grew") > 0);
    assert!(second.forecast_bytes.expect("a forecast") > second.vaults[0].bytes);
    assert_eq!(seen.vitals.stored_bytes, Some(second.vaults[0].bytes));
}

#[tokio::test]
async fn a_watch_that_cannot_look_says_so_and_the_next_does() {
    let prepared = async || {
        let scene = Scene::new();
        scene.back_up().await.expect("backs up");
        scene.deliver_events().await;
        scene.world.clock.advance(Duration::from_secs(STALLED_S as u64));
        scene
    };
    let clean = prepared().await;
    let before = clean.world.faults.steps();
    let wanted = watch(&clean).await.expect("watches").vitals;
    let steps = clean.world.faults.steps() - before;
    assert!(steps > 10, "the loop covers something: {steps} calls");
    for step in 1..=steps {
        for when in When::ALL {
            let what = format!("seed {SEED}, call {step} of {steps}, {when:?}");
            let scene = prepared().await;
            scene.world.faults.arm(before + step, when, ErrorKind::Unavailable);
            match watch(&scene).await {
                Err(e) => assert_eq!(e.kind(), ErrorKind::Unavailable, "{what}: {e}"),
                // A key service that does not answer is a number.
                Ok(seen) if seen.not_counted.is_none() => assert_eq!(seen.vitals.keys_unusable, 1, "{what}"),
                // So is a vault that does not answer when it is time to count: the other numbers are there.
                Ok(seen) => assert!(seen.vitals.newest_backup_age.is_some() && seen.usage.is_none(), "{what}"),
            }
            scene.world.faults.heal();
            let again = watch(&scene).await.unwrap_or_else(|e| panic!("{what}: {e}")).vitals;
            assert_eq!(again, wanted, "{what}");
        }
        let what = format!("seed {SEED}, killed at call {step} of {steps}");
        let scene = prepared().await;
        let _ = scene.killed_at(before + step, pin!(watch(&scene))).await;
        let again = watch(&scene).await.unwrap_or_else(|e| panic!("{what}: {e}")).vitals;
        assert_eq!(again, wanted, "{what}");
    }
}

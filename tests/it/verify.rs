//! Reading back, in memory: what is broken is found and named, in the vault where it is; what can be put back is; and nothing else is
//! ever said to be broken.

use crate::scene::{SEED, Scene};
use engine::catalog::{FindingCode, ReplicaState, SnapshotRecord};
use engine::clock::{Clock, Timestamp};
use engine::error::ErrorKind;
use engine::layout::ObjectKey;
use engine::limits::VERIFY_LEASE_S;
use engine::ops::backup::BackupOutcome;
use engine::ops::verify::{Level, VerifyOutcome, VerifyReport};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{KeyState, When};

mod museum;

/// A clock on which each look takes a second.
struct Ticking(Mutex<Timestamp>);

#[async_trait::async_trait]
impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let mut now = self.0.lock().expect("no panic");
        *now = now.plus_s(1);
        *now
    }

    async fn sleep(&self, _: Duration) {}
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A backup of rows and objects, in all three vaults.
async fn backed_up() -> (Scene, SnapshotRecord) {
    let scene = Scene::with_objects();
    let BackupOutcome::Committed(record) = scene.back_up().await.expect("backs up") else { panic!("not committed") };
    scene.deliver_events().await;
    (scene, *record)
}

/// The codes of all findings, with the vault each is in.
fn found(report: &VerifyReport) -> Vec<(String, FindingCode)> {
    let of = |r: &engine::ops::verify::SnapshotReport| {
        r.findings.iter().map(|f| (r.place.role.to_string(), f.code)).collect::<Vec<_>>()
    };
    report.reports.iter().flat_map(of).collect()
}

fn key_of(scene: &Scene, wanted: fn(&ObjectKey) -> bool) -> String {
    let keys = scene.world.vaults[0].objects().into_keys();
    keys.into_iter().find(|k| wanted(&k.parse().expect("a key"))).expect("there is one")
}

fn pack(scene: &Scene) -> String {
    key_of(scene, |k| matches!(k, ObjectKey::Pack(..)))
}

#[tokio::test]
async fn what_is_whole_is_clean_and_all_of_it_is_read() {
    let (scene, record) = backed_up().await;
    let report = scene.verify(Level::Everything).await.expect("verifies");
    assert!(report.is_clean(), "{:?}", found(&report));
    assert_eq!(report.reports.len(), 3, "one for each vault");
    assert_eq!(report.record.outcome, VerifyOutcome::Done);
    for vault in &report.record.vaults {
        let summary = record.summary.as_ref().expect("a summary");
        assert_eq!((vault.snapshots, vault.bytes), (1, summary.size), "every byte is looked at");
        // The manifest, the schema, four segments with rows, and two objects that are not empty.
        assert_eq!((vault.read, vault.findings), (8, 0));
        assert!(
            vault.read_bytes + 1_200 > summary.size,
            "{} of {}: all but the inventory",
            vault.read_bytes,
            summary.size
        );
    }
    let record = &scene.records().await[0];
    assert!(record.replicas.iter().all(|r| r.verified_at.is_some() && r.state == ReplicaState::Complete));
    assert!(record.verified.expect("was verified").read_at.is_some());
}

#[tokio::test]
async fn in_a_round_of_days_everything_is_read_once_and_no_day_reads_all() {
    let (scene, _) = backed_up().await;
    let (mut reads, mut most) = (0, 0);
    for day in 0..31 {
        // A day without a run is made up for by the next.
        if day % 7 != 3 {
            let report = scene.verify(Level::Due).await.expect("verifies");
            let today: u64 = report.record.vaults.iter().map(|v| v.read).sum();
            assert!(report.is_clean() && report.record.hours_behind == 0);
            let read_at = scene.records().await[0].verified.expect("was verified").read_at;
            assert_eq!(read_at.is_some(), day == 30, "day {day}");
            // The manifest is opened each day.
            reads += today - 1;
            most = most.max(today);
        }
        scene.world.clock.advance(DAY);
    }
    // The share of the first day is due again on the last.
    assert!((7..=8).contains(&reads), "{reads} of 7");
    assert!(most < 5, "{most} in one day");
}

#[tokio::test]
async fn what_is_missing_is_put_back_and_what_was_changed_is_left_and_reported() {
    let (scene, record) = backed_up().await;
    let pack = pack(&scene);
    let bytes = scene.world.vaults[0].objects()[&pack].clone();
    for vault in 0..3 {
        // Missing here, changed elsewhere: each is found where it is.
        let (here, other) = (&scene.world.vaults[vault], &scene.world.vaults[(vault + 1) % 3]);
        here.remove(&pack);
        other.plant(&pack, b"something else".as_slice());
        let report = scene.verify(Level::Due).await.expect("verifies");
        let mut wanted =
            vec![(scene.role(vault), FindingCode::Missing), (scene.role((vault + 1) % 3), FindingCode::Truncated)];
        wanted.sort();
        let mut seen = found(&report);
        seen.sort();
        assert_eq!(seen, wanted);
        let states: Vec<ReplicaState> = scene.records().await[0].replicas.iter().map(|r| r.state).collect();
        assert_eq!(states.iter().filter(|s| **s == ReplicaState::Damaged).count(), 2, "{states:?}");

        let reconciled = scene.replicate().reconcile().await.expect("reconciles");
        assert_eq!(reconciled.repaired, [record.id]);
        assert_eq!(here.objects()[&pack], bytes, "it is back");
        assert_eq!(other.objects()[&pack].as_ref(), b"something else", "and nothing was written over");
        let report = scene.verify(Level::Due).await.expect("verifies");
        assert_eq!(found(&report), [(scene.role((vault + 1) % 3), FindingCode::Truncated)]);

        // A person takes the wrong version away.
        other.remove(&pack);
        scene.verify(Level::Due).await.expect("verifies");
        scene.replicate().reconcile().await.expect("reconciles");
        assert!(scene.verify(Level::Everything).await.expect("verifies").is_clean());
        assert!(scene.records().await[0].replicas.iter().all(|r| r.state == ReplicaState::Complete));
    }
}

#[tokio::test]
async fn a_vault_that_lost_everything_is_filled_again_the_primary_too() {
    let (scene, _) = backed_up().await;
    for vault in 0..3 {
        let whole = scene.world.vaults[(vault + 1) % 3].objects();
        for key in scene.world.vaults[vault].objects().keys() {
            scene.world.vaults[vault].remove(key);
        }
        let report = scene.verify(Level::Due).await.expect("verifies");
        assert_eq!(found(&report), [(scene.role(vault), FindingCode::NoInventory)]);
        scene.replicate().reconcile().await.expect("reconciles");
        let mut there = scene.world.vaults[vault].objects();
        // Checkpoints belong to nobody by now.
        let mut whole = whole;
        for objects in [&mut there, &mut whole] {
            objects.retain(|key, _| !key.starts_with("v1/checkpoints/"));
        }
        assert_eq!(there, whole);
        assert!(scene.verify(Level::Everything).await.expect("verifies").is_clean());
    }
}

#[tokio::test]
async fn what_reading_found_stays_known_until_it_is_read_again_and_is_sound() {
    let (scene, _) = backed_up().await;
    let pack = pack(&scene);
    let flip = |bytes: &mut Vec<u8>| bytes[700] ^= 1;
    assert!(scene.world.vaults[1].rot(&pack, flip));
    // What the store says of it is right: only reading tells.
    let mut days = 0;
    loop {
        let report = scene.verify(Level::Due).await.expect("verifies");
        if !report.is_clean() {
            assert_eq!(found(&report), [(scene.role(1), FindingCode::Rotten)]);
            break;
        }
        days += 1;
        assert!(days <= 90, "three rounds");
        scene.world.clock.advance(DAY);
    }
    // It is looked at again each day, whoever's turn it is.
    scene.world.clock.advance(DAY);
    assert_eq!(found(&scene.verify(Level::Due).await.expect("verifies")), [(scene.role(1), FindingCode::Rotten)]);
    assert_eq!(scene.records().await[0].replicas[1].state, ReplicaState::Damaged);
    scene.replicate().reconcile().await.expect("reconciles");
    assert_eq!(scene.records().await[0].replicas[1].state, ReplicaState::Damaged, "putting does not put it right");
    assert!(scene.world.vaults[1].rot(&pack, flip));
    assert!(scene.verify(Level::Due).await.expect("verifies").is_clean());
    assert_eq!(scene.records().await[0].replicas[1].state, ReplicaState::Complete);
}

#[tokio::test]
async fn a_region_that_is_down_or_a_key_service_that_does_not_answer_is_an_error_and_no_finding() {
    let (scene, _) = backed_up().await;
    for service in [scene.world.vaults[1].service().to_owned(), scene.world.keys[1].service().to_owned()] {
        scene.world.clock.advance(DAY);
        scene.world.faults.break_service(&service, ErrorKind::Unavailable);
        let e = scene.verify(Level::Everything).await.expect_err("a service is down");
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        scene.world.faults.heal();
        let record = &scene.records().await[0];
        assert!(record.replicas.iter().all(|r| r.state == ReplicaState::Complete && r.findings.is_empty()));
        assert_eq!(record.replicas[0].verified_at, Some(scene.world.clock.now()), "the others were looked at");
        let run = &scene.verifications().await[0];
        assert_eq!(run.outcome, VerifyOutcome::Failed);
        assert!(run.hours_behind > 0, "whose turn it was there is still due");
        assert!(record.verified.expect("was looked at").read_at.is_none(), "and not all of it was read");
        assert!(run.error.is_some() && run.completed_at.is_some());
    }
    assert!(scene.verify(Level::Everything).await.expect("verifies").is_clean());
}

#[tokio::test]
async fn a_key_that_is_disabled_in_one_region_is_found_there() {
    let (scene, _) = backed_up().await;
    scene.world.keys[2].set_state(KeyState::Disabled);
    let report = scene.verify(Level::Everything).await.expect("verifies");
    let codes = found(&report);
    assert!(!codes.is_empty() && codes.iter().all(|f| *f == (scene.role(2), FindingCode::KeyRefused)), "{codes:?}");
    scene.world.keys[2].set_state(KeyState::Enabled);
    assert!(scene.verify(Level::Due).await.expect("verifies").is_clean(), "and looked at again the next time");
}

#[tokio::test]
async fn out_of_time_the_next_run_goes_on_where_this_one_ended() {
    let (scene, _) = backed_up().await;
    scene.world.clock.advance(40 * DAY);
    scene.verify(Level::Due).await.expect("verifies");
    scene.world.clock.advance(30 * DAY);
    // Time enough to look at everything, and to read a little of it.
    let now = scene.world.clock.now();
    let clock = Arc::new(Ticking(Mutex::new(now)));
    let report = scene.verify_at(clock, Level::Due, Some(now.plus_s(30 + 22))).await.expect("verifies");
    assert_eq!(report.record.outcome, VerifyOutcome::OutOfTime);
    assert!((300..=720).contains(&report.record.hours_behind), "{}", report.record.hours_behind);
    let read: u64 = report.record.vaults.iter().map(|v| v.read).sum();
    assert!((1..8).contains(&read), "{read}");
    // Without the time to look there is nothing to say, and nothing is lost.
    let e = scene.verify_by(Level::Due, Some(now.plus_s(1))).await.expect_err("no time");
    assert_eq!(e.kind(), ErrorKind::Exhausted, "{e}");
    let behind = scene.verifications().await[0].hours_behind;
    assert_eq!(behind, report.record.hours_behind);
    let report = scene.verify(Level::Due).await.expect("verifies");
    assert_eq!((report.record.outcome, report.record.hours_behind), (VerifyOutcome::Done, 0));
    let rest: u64 = report.record.vaults.iter().map(|v| v.read).sum();
    assert!((7..=9).contains(&(read + rest - 1)), "{read} and {rest}: each once, and the manifest each time");
}

#[tokio::test]
async fn two_at_once_are_one() {
    let (scene, _) = backed_up().await;
    let now = scene.world.clock.now();
    use engine::catalog::Catalog;
    let until = now.plus_s(VERIFY_LEASE_S);
    scene.world.catalog.acquire("verify", "somebody", now, until).await.expect("a lease");
    assert_eq!(scene.verify(Level::Due).await.expect_err("refused").kind(), ErrorKind::Conflict);
    scene.world.clock.advance(Duration::from_secs(VERIFY_LEASE_S as u64 + 1));
    scene.verify(Level::Due).await.expect("verifies");
}

#[tokio::test]
async fn verify_survives_the_failure_of_every_call_and_never_takes_it_for_damage() {
    let (clean, _) = backed_up().await;
    let before = clean.world.faults.steps();
    clean.verify(Level::Everything).await.expect("verifies");
    let steps = clean.world.faults.steps() - before;
    assert!(steps > 70, "the loop covers something: {steps} calls");
    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        for step in 1..=steps {
            for when in When::ALL {
                let what = format!("seed {SEED}, call {step} of {steps}, {when:?}, {kind}");
                let (scene, _) = backed_up().await;
                scene.world.faults.arm(before + step, when, kind);
                let first = scene.verify(Level::Everything).await;
                scene.world.faults.heal();
                // A key service that refuses is a finding; whatever else fails is an error of the run.
                let refused = |f: &(String, FindingCode)| kind == ErrorKind::Denied && f.1 == FindingCode::KeyRefused;
                if let Ok(report) = &first {
                    assert!(found(report).iter().all(refused), "{what}: {:?}", found(report));
                }
                let stored = &scene.records().await[0];
                let findings = stored.replicas.iter().flat_map(|r| &r.findings);
                assert!(
                    findings.map(|f| f.code).all(|c| c == FindingCode::KeyRefused && kind == ErrorKind::Denied),
                    "{what}"
                );
                scene.world.clock.advance(Duration::from_secs(VERIFY_LEASE_S as u64 + 1));
                let again = scene.verify(Level::Everything).await.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(again.is_clean(), "{what}: {:?}", found(&again));
                assert!(scene.records().await[0].replicas.iter().all(|r| r.state == ReplicaState::Complete), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn verify_that_is_killed_at_any_call_took_nothing_for_damage_and_the_next_reads_it_all() {
    let (clean, _) = backed_up().await;
    let before = clean.world.faults.steps();
    clean.verify(Level::Everything).await.expect("verifies");
    let steps = clean.world.faults.steps() - before;
    for step in 1..=steps {
        let what = format!("seed {SEED}, killed at call {step} of {steps}");
        let (scene, _) = backed_up().await;
        let _ = scene.killed_at(before + step, pin!(scene.verify(Level::Everything))).await;
        assert!(scene.records().await[0].replicas.iter().all(|r| r.findings.is_empty()), "{what}");
        scene.world.clock.advance(Duration::from_secs(VERIFY_LEASE_S as u64 + 1));
        let again = scene.verify(Level::Everything).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(again.is_clean(), "{what}: {:?}", found(&again));
        let record = &scene.records().await[0];
        assert!(record.verified.is_some_and(|v| v.read_at.is_some()), "{what}");
    }
}

#[tokio::test]
async fn a_repair_survives_the_failure_of_every_call_and_its_own_death_at_each() {
    let damaged = async || {
        let (scene, record) = backed_up().await;
        let pack = pack(&scene);
        scene.world.vaults[0].remove(&pack);
        scene.world.vaults[2].hide(&ObjectKey::Inventory(record.id).to_string());
        scene.verify(Level::Due).await.expect("verifies");
        scene
    };
    let clean = damaged().await;
    let before = clean.world.faults.steps();
    clean.replicate().reconcile().await.expect("reconciles");
    let steps = clean.world.faults.steps() - before;
    assert!(clean.verify(Level::Everything).await.expect("verifies").is_clean());
    for step in 1..=steps {
        for when in When::ALL.map(Some).into_iter().chain([None]) {
            let what = format!("seed {SEED}, call {step} of {steps}, {when:?}");
            let scene = damaged().await;
            let replicate = scene.replicate();
            match when {
                Some(when) => {
                    scene.world.faults.arm(before + step, when, ErrorKind::Unavailable);
                    let _ = replicate.reconcile().await;
                    scene.world.faults.heal();
                }
                None => {
                    let _ = scene.killed_at(before + step, pin!(replicate.reconcile())).await;
                }
            }
            scene.replicate().reconcile().await.unwrap_or_else(|e| panic!("{what}: {e}"));
            let report = scene.verify(Level::Everything).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(report.is_clean(), "{what}: {:?}", found(&report));
        }
    }
}

//! Random schedules: backups, replication, expiry, verification, rotation of keys and restores in any order, with lost, doubled and reordered events, calls
//! that fail, runs that are killed, and clocks that jump. After every step what must always hold does; at quiet, every backup that the
//! policy keeps restores from every vault alone.
//!
//! `BACKUP_SCHEDULES` says how many, `BACKUP_SCHEDULE_SEED` from which seed on; a failure names its seed.

mod over_aws;

use crate::scene::Scene;
use engine::catalog::{FindingCode, SnapshotRecord, Status, Trigger};
use engine::clock::{Clock, Timestamp};
use engine::error::ErrorKind;
use engine::id::SnapshotId;
use engine::inventory;
use engine::limits::LEASE_TTL_S;
use engine::ops::restore::Selection;
use engine::ops::verify::Level;
use engine::queue::BackupOrder;
use engine::retention::RetentionPolicy;
use engine::vault::list_all;
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::{KeyState, MemoryTarget, SeededEntropy, SlowClock, When};

const SCHEDULES: u64 = 1_000;
const STEPS: u64 = 60;
const DAY_S: i64 = 24 * 60 * 60;
const POLICY: RetentionPolicy =
    RetentionPolicy { days: 3, last: 0, daily: 5, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 2 };

#[allow(clippy::disallowed_methods, reason = "whoever runs the test says how many")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |n| n.parse().expect("a number"))
}

type Rows = BTreeMap<String, Vec<String>>;

/// One schedule, and what is known of it.
struct Schedule {
    scene: Scene,
    dice: SeededEntropy,
    /// What each backup must give back, by what its generations share.
    wanted: BTreeMap<[u8; 10], Rows>,
    /// What was seen of each record.
    seen: BTreeMap<SnapshotId, SnapshotRecord>,
    /// The latest that any clock has shown.
    latest: Timestamp,
    said: Vec<String>,
    restores: u64,
    rotated: u64,
}

/// What all schedules together have come by: or else they would show nothing.
#[derive(Debug, Default)]
struct Come {
    completed: usize,
    failed: usize,
    expired: usize,
    removed: usize,
    restores: u64,
    rotated: u64,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let scene = Scene::new();
        let latest = scene.world.clock.now();
        Self {
            scene,
            dice: SeededEntropy::new(seed),
            wanted: BTreeMap::new(),
            seen: BTreeMap::new(),
            latest,
            said: Vec::new(),
            restores: 0,
            rotated: 0,
        }
    }

    fn below(&self, n: u64) -> u64 {
        self.dice.next() % n
    }

    fn rows(&self) -> Rows {
        let mut rows = self.scene.source.rows();
        rows.retain(|_, rows| !rows.is_empty());
        rows
    }

    /// Lets a run be disturbed: not at all, by a call that fails, or by being killed at a call.
    async fn disturbed<T>(&self, run: impl Future<Output = T>, said: &mut String) -> Option<T> {
        let faults = &self.scene.world.faults;
        let at = faults.steps() + 1 + self.below(60);
        match self.below(4) {
            0 => {
                let when = When::ALL[self.below(When::ALL.len() as u64) as usize];
                let kind = [ErrorKind::Unavailable, ErrorKind::Denied][self.below(2) as usize];
                said.push_str(&format!(", call {at} fails {when:?} as {kind}"));
                faults.arm(at, when, kind);
                let done = run.await;
                faults.heal();
                Some(done)
            }
            1 => {
                said.push_str(&format!(", killed at call {at}"));
                self.scene.killed_at(at, std::pin::pin!(run)).await
            }
            _ => Some(run.await),
        }
    }

    async fn step(&mut self) {
        let mut said;
        match self.below(16) {
            0 | 1 => {
                let table = ["large", "small", "empty"][self.below(3) as usize];
                let place = self.below(40) as usize;
                said = format!("write {table} {place}");
                self.scene.source.write(table, place, &format!("{place}\t{}", self.dice.next()));
            }
            2..=4 => {
                said = "back up".to_owned();
                let order = self.scene.world.queue.take().unwrap_or_else(|| BackupOrder::new(Trigger::Schedule));
                let seconds = [None, None, Some(6)][self.below(3) as usize];
                let _ = self.disturbed(self.scene.run(order, seconds), &mut said).await;
            }
            5 | 6 => {
                said = "deliver some events".to_owned();
                let keys = list_all(&*self.scene.world.vaults[0], "v1/").await.expect("lists");
                for _ in 0..self.below(2 * keys.len() as u64 + 1) {
                    let key = &keys[self.below(keys.len() as u64) as usize];
                    let replicate = self.scene.replicate();
                    let landed = replicate.landed(key.parse().expect("a key"));
                    let _ = self.disturbed(landed, &mut said).await;
                }
            }
            7 => {
                said = "reconcile".to_owned();
                let replicate = self.scene.replicate();
                let _ = self.disturbed(replicate.reconcile(), &mut said).await;
            }
            8 | 9 => {
                said = "prune".to_owned();
                let _ = self.disturbed(self.scene.prune(POLICY, false), &mut said).await;
            }
            10 => {
                said = "verify".to_owned();
                let level = [Level::Due, Level::Everything][self.below(2) as usize];
                if let Some(Ok(report)) = self.disturbed(self.scene.verify(level), &mut said).await {
                    // A key service that refuses is a finding, and so is a lock that no `prune` came by to extend. Nothing else
                    // is ever wrong here.
                    let expected = [FindingCode::KeyRefused, FindingCode::LockEndsEarly];
                    let wrong = report.reports.iter().flat_map(|r| &r.findings);
                    let wrong: Vec<_> = wrong.filter(|f| !expected.contains(&f.code)).collect();
                    assert!(wrong.is_empty(), "{wrong:?}");
                }
            }
            11 => {
                said = "rotate".to_owned();
                if self.scene.world.former.len() < 3 && self.below(3) == 0 {
                    said = "change the key and rotate".to_owned();
                    self.scene.world.change_key(self.dice.next()).expect("another key");
                }
                // Each look at the clock takes some time, so it is out of time now and then.
                let seconds = [None, Some(self.below(30) as i64)][self.below(2) as usize];
                let slow = Arc::new(SlowClock::new(Arc::clone(&self.scene.world.clock), Duration::from_secs(1)));
                let _ = self.disturbed(self.scene.rotate_at(slow, seconds), &mut said).await;
            }
            _ => {
                let s = [600, 7_200, DAY_S, 2 * DAY_S, 4 * DAY_S, -1_800][self.below(6) as usize];
                said = format!("the clock moves by {s} s");
                let now = self.scene.world.clock.now();
                self.scene.world.clock.set(now.plus_s(s));
            }
        }
        self.said.push(said);
        self.scene.world.faults.heal();
        self.latest = self.latest.max(self.scene.world.clock.now());
    }

    /// What must hold at any moment.
    async fn check(&mut self) {
        self.scene.require_whole_inventories("an inventory").await;
        let rows = self.rows();
        for id in inventory::list(&*self.scene.world.vaults[0]).await.expect("lists") {
            self.wanted.entry(id.root()).or_insert_with(|| rows.clone());
        }
        let records = self.scene.records().await;
        for record in &records {
            if let Some(before) = self.seen.get(&record.id) {
                assert!(record.status >= before.status, "{} went back from {:?}", record.id, before.status);
                assert!(!before.is_settled() || record.status == before.status, "{} changed its end", record.id);
                assert!(before.expired_at.is_none() || record.expired_at.is_some(), "{} came back", record.id);
            }
            if record.expired_at.is_some() && record.status == Status::Completed {
                let is_later = |r: &SnapshotRecord| r.id.root() == record.id.root() && r.id > record.id;
                let is_last = !records.iter().any(is_later);
                let taken_at = record.summary.as_ref().expect("a summary").taken_at;
                assert!(
                    !is_last || taken_at.plus_s(3 * DAY_S) <= self.latest,
                    "{} was let go before its days were over",
                    record.id
                );
            }
            self.seen.insert(record.id, record.clone());
        }
        let good = |r: &&SnapshotRecord| r.status == Status::Completed;
        let kept = records.iter().filter(good).filter(|r| r.expired_at.is_none());
        let kept = kept.map(|r| r.id.root()).collect::<BTreeSet<_>>().len();
        let made = self.seen.values().filter(good).map(|r| r.id.root()).collect::<BTreeSet<_>>().len();
        assert!(kept >= made.min(2), "{kept} of {made} good backups are left");
        // One of them is restored, from any vault.
        let whole: Vec<SnapshotId> = records.iter().filter(|r| is_kept(r, &records)).map(|r| r.id).collect();
        if !whole.is_empty() {
            let id = whole[self.below(whole.len() as u64) as usize];
            self.require_restorable(id, self.below(3) as usize).await;
        }
    }

    async fn require_restorable(&mut self, id: SnapshotId, vault: usize) {
        self.restores += 1;
        let target = MemoryTarget::new(self.scene.world.faults.clone());
        let restored = self.scene.restore(vault, Selection::Snapshot(id), &target).await;
        restored.unwrap_or_else(|e| panic!("{id} from vault {vault}: {e}"));
        assert_eq!(&target.rows(), &self.wanted[&id.root()], "{id} from vault {vault}");
    }

    /// Nothing needs a former key any more.
    async fn rotate_to_the_end(&mut self) {
        for _ in 0..5 {
            let Some(rotation) = self.scene.rotate(None).await.expect("rotates") else { break };
            assert!(rotation.not_sealed.is_empty(), "{rotation:?}");
            self.rotated += rotation.backups;
            self.scene.replicate().reconcile().await.expect("reconciles");
        }
        let last = self.scene.rotate(None).await.expect("rotates");
        assert_eq!(last, None, "it has come to its end");
        self.scene.world.former.iter().flatten().for_each(|key| key.set_state(KeyState::Disabled));
    }

    /// Everything comes to its end.
    async fn quiet(&mut self) {
        self.scene.world.clock.set(self.latest);
        self.scene.world.clock.advance(Duration::from_secs(LEASE_TTL_S as u64 * 20));
        self.scene.recover().await;
        self.scene.replicate().reconcile().await.expect("reconciles");
        self.rotate_to_the_end().await;
        self.check().await;
        self.scene.prune(POLICY, false).await.expect("prunes");
        let verified = self.scene.verify(Level::Everything).await.expect("verifies");
        assert!(verified.is_clean(), "{:?}", verified.record.summary());
        let records = self.scene.records().await;
        for record in &records {
            assert!(record.is_settled(), "{} is {:?}", record.id, record.status);
            if is_kept(record, &records) {
                for vault in 0..3 {
                    self.require_restorable(record.id, vault).await;
                }
            }
        }
    }
}

/// Whether a backup is to be restorable: it is whole, and nobody let it go, in whatever generation.
fn is_kept(record: &SnapshotRecord, records: &[SnapshotRecord]) -> bool {
    let last = record.superseded_by.and_then(|id| records.iter().find(|r| r.id == id)).unwrap_or(record);
    record.status == Status::Completed && record.expired_at.is_none() && last.expired_at.is_none()
}

#[tokio::test]
async fn in_any_order_and_however_disturbed_what_must_hold_holds() {
    let mut come = Come::default();
    let first = number("BACKUP_SCHEDULE_SEED", 1);
    for seed in first..first + number("BACKUP_SCHEDULES", SCHEDULES) {
        let mut schedule = Schedule::new(seed);
        let run = async {
            for _ in 0..STEPS {
                schedule.step().await;
                schedule.check().await;
            }
            schedule.quiet().await;
        };
        if let Err(panic) = std::panic::AssertUnwindSafe(run).catch_unwind().await {
            eprintln!("seed {seed}, after:\n  {}", schedule.said.join("\n  "));
            std::panic::resume_unwind(panic);
        }
        let records = schedule.seen.values();
        come.completed += records.clone().filter(|r| r.status == Status::Completed).count();
        come.failed += records.clone().filter(|r| r.status == Status::Failed).count();
        come.expired += records.filter(|r| r.expired_at.is_some()).count();
        let removed = schedule.scene.world.faults.calls();
        come.removed += removed.iter().filter(|c| c.operation == "delete_version").count();
        come.restores += schedule.restores;
        come.rotated += schedule.rotated;
    }
    let enough = come.completed > 5_000
        && come.failed > 1_000
        && come.expired > 500
        && come.removed > 5_000
        && come.restores > 50_000
        && come.rotated > 1_000;
    assert!(enough || number("BACKUP_SCHEDULES", SCHEDULES) < SCHEDULES, "{come:?}");
}

//! The same over the local AWS: the adapters with all their retries, a clock that nobody moves, and runs that are killed in the middle of a
//! request. Nothing is deleted there, since locks of a real day do not end; all else that must hold does.
//!
//! `BACKUP_AWS_SCHEDULES` says how many, `BACKUP_SCHEDULE_SEED` from which seed on; a failure names its seed.

use super::{Rows, number};
use crate::cloud::{Cloud, REGIONS};
use aws::clients::{Clients, OpensWith};
use aws::machine::{SystemClock, SystemEntropy};
use engine::catalog::{self, SnapshotRecord, Status, Trigger};
use engine::clock::{Clock, Timestamp};
use engine::id::SnapshotId;
use engine::inventory;
use engine::ops::backup::{Backup, BackupRequest, BackupSettings};
use engine::ops::prune::{Prune, PruneRequest};
use engine::ops::replicate::Replicate;
use engine::ops::restore::{Restore, Selection};
use engine::ops::rotate::Rotate;
use engine::ops::verify::{Level, Verify, VerifyRequest, VerifySettings};
use engine::queue::BackupOrder;
use engine::retention::RetentionPolicy;
use engine::vault::list_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use testkit::{FaultScript, MemorySource, MemoryTarget, SeededEntropy};

const SCHEDULES: u64 = 24;
const STEPS: u64 = 12;
/// Of all good backups the newest stay, and so they go on expiring.
const POLICY: RetentionPolicy =
    RetentionPolicy { days: 0, last: 3, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 2 };

/// The time of this machine, and some more.
#[derive(Debug, Default)]
struct Ahead(AtomicI64);

#[async_trait::async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_s(self.0.load(Relaxed))
    }

    async fn sleep(&self, time: Duration) {
        SystemClock.sleep(time).await;
    }
}

struct Schedule {
    cloud: Cloud,
    clock: Arc<Ahead>,
    clients: Clients,
    source: MemorySource,
    dice: SeededEntropy,
    /// What the source held, and since when.
    history: BTreeMap<Timestamp, Rows>,
    said: Vec<String>,
}

impl Schedule {
    async fn new(seed: u64) -> Self {
        let mut cloud = Cloud::start("schedules");
        cloud.make_vaults();
        cloud.make_table();
        cloud.make_key();
        let clients = cloud.clients().await;
        let rows = (0..60).map(|n| format!("{n}\trow {n}")).collect();
        let source = MemorySource::new([("large".to_owned(), rows)], FaultScript::new());
        let history = BTreeMap::from([(SystemClock.now(), source.rows())]);
        Self {
            cloud,
            clock: Arc::default(),
            clients,
            source,
            dice: SeededEntropy::new(seed),
            history,
            said: Vec::new(),
        }
    }

    fn below(&self, n: u64) -> u64 {
        self.dice.next() % n
    }

    /// Lets a run be, or kills it after some milliseconds: in the middle of a request, as a rule.
    async fn disturbed<T>(&mut self, what: &str, run: impl Future<Output = T>) -> Option<T> {
        let millis = [None, None, Some(self.below(150))][self.below(3) as usize];
        self.said.push(format!("{what}{}", millis.map_or_else(String::new, |ms| format!(", killed after {ms} ms"))));
        match millis {
            None => Some(Box::pin(run).await),
            Some(millis) => tokio::time::timeout(Duration::from_millis(millis), Box::pin(run)).await.ok(),
        }
    }

    fn backup(&self) -> Backup {
        Backup {
            vaults: self.clients.vaults().expect("vaults"),
            keyring: self.clients.keyring(REGIONS[0]).expect("a keyring"),
            catalog: self.clients.catalog().expect("a catalog"),
            source: Arc::new(self.source.clone()),
            storage: None,
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SystemEntropy),
            settings: BackupSettings {
                source: "database".to_owned(),
                sessions: 1,
                compression_level: 1,
                segment_blocks: 4,
                incremental: true,
                full_every_days: None,
                policies: Arc::default(),
            },
            queue: None,
        }
    }

    fn replicate(&self) -> Replicate {
        Replicate {
            vaults: self.clients.vaults().expect("vaults"),
            catalog: self.clients.catalog().expect("a catalog"),
            clock: Arc::clone(&self.clock) as _,
        }
    }

    fn prune(&self) -> Prune {
        Prune {
            vaults: self.clients.vaults().expect("vaults"),
            versions: self.clients.versions().expect("vaults"),
            catalog: self.clients.catalog().expect("a catalog"),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SystemEntropy),
            policy: POLICY,
        }
    }

    fn verify(&self) -> Verify {
        Verify {
            vaults: self.clients.vaults().expect("vaults"),
            versions: self.clients.versions().expect("vaults"),
            keyrings: self.clients.keyrings(OpensWith::RegionKey).expect("keyrings"),
            catalog: self.clients.catalog().expect("a catalog"),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SystemEntropy),
            settings: VerifySettings { rotation_days: 30, retention_days: 1 },
        }
    }

    fn rotate(&self) -> Rotate {
        Rotate {
            vaults: self.clients.vaults().expect("vaults"),
            keyring: self.clients.keyring(REGIONS[0]).expect("a keyring"),
            catalog: self.clients.catalog().expect("a catalog"),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Another key; the one before it still opens.
    async fn change_key(&mut self) {
        let former = self.cloud.settings().key().expect("a key").to_string();
        self.cloud.make_key();
        self.cloud.set("BACKUP_FORMER_KEY_IDS", &former);
        self.clients = self.cloud.clients().await;
    }

    async fn step(&mut self, step: u64) {
        match self.below(8) {
            _ if step == 0 => {
                let backup = self.backup();
                let request = BackupRequest { order: BackupOrder::new(Trigger::Schedule), deadline: None };
                self.said.push("back up".to_owned());
                Box::pin(backup.run(request)).await.expect("the first backup");
            }
            // Once, half-way through.
            _ if step == STEPS / 2 => {
                self.change_key().await;
                let rotate = self.rotate();
                let _ = self.disturbed("change the key and rotate", rotate.run(None)).await;
            }
            0..=2 => {
                let place = self.below(60) as usize;
                self.source.write("large", place, &format!("{place}\t{}", self.dice.next()));
                self.history.insert(SystemClock.now(), self.source.rows());
                let backup = self.backup();
                let request = BackupRequest { order: BackupOrder::new(Trigger::Schedule), deadline: None };
                let _ = self.disturbed("write and back up", backup.run(request)).await;
            }
            3 => {
                let replicate = self.replicate();
                let keys = list_all(&**replicate.vaults.primary(), "v1/").await.expect("lists");
                for _ in 0..6 {
                    let key = keys[self.below(keys.len() as u64) as usize].parse().expect("a key of ours");
                    let _ = self.disturbed("deliver an event", replicate.landed(key)).await;
                }
            }
            4 => {
                let replicate = self.replicate();
                let _ = self.disturbed("reconcile", replicate.reconcile()).await;
            }
            5 => {
                let prune = self.prune();
                let _ = self.disturbed("prune", prune.run(PruneRequest::default())).await;
            }
            6 => {
                let verify = self.verify();
                let request = VerifyRequest { level: Level::Everything, deadline: None };
                if let Some(Ok(report)) = self.disturbed("verify", verify.run(request)).await {
                    let damage = report.reports.iter().flat_map(|r| &r.findings).find(|f| f.code.is_damage());
                    assert!(damage.is_none(), "{damage:?}");
                }
            }
            _ => {
                let rotate = self.rotate();
                let _ = self.disturbed("rotate", rotate.run(None)).await;
            }
        }
    }

    /// What must hold at any moment.
    async fn check(&self) {
        let vaults = self.clients.vaults().expect("vaults");
        for vault in vaults.all() {
            for id in inventory::list(&**vault).await.expect("lists") {
                let (inventory, _) = inventory::read(&**vault, id).await.expect("reads");
                for object in inventory.objects() {
                    let found = vault.head(&object.key).await.expect("looks");
                    let right = found.is_some_and(|m| m.sha256 == Some(object.sha256) && m.length == object.length);
                    assert!(right, "{} in the {} is not there", object.key, vault.place());
                }
            }
        }
    }

    async fn records(&self) -> Vec<SnapshotRecord> {
        catalog::all(&*self.clients.catalog().expect("a catalog")).await.expect("lists")
    }

    async fn require_restorable(&self, id: SnapshotId) {
        let vaults = self.clients.vaults().expect("vaults");
        for (vault, region) in vaults.all().iter().zip(REGIONS) {
            let target = MemoryTarget::new(FaultScript::new());
            let restore = Restore {
                vault: Arc::clone(vault),
                keyring: self.clients.keyring(region).expect("a keyring"),
                target: Arc::new(target.clone()),
                storage: None,
                sessions: 1,
                policies: Arc::default(),
                clock: Arc::clone(&self.clock) as _,
                catalog: None,
                orders: None,
                counters: Arc::default(),
                journal: None,
            };
            let restored = restore.run(Selection::Snapshot(id)).await;
            restored.unwrap_or_else(|e| panic!("{id} from {region}: {e}"));
            let wanted = self.history.range(..=id.made_at()).next_back().expect("it held something").1;
            assert_eq!(&target.rows(), wanted, "{id} from {region}");
        }
    }

    /// Everything comes to its end.
    async fn quiet(&mut self) {
        // The leases of what was killed run out.
        self.clock.0.store(3_600, Relaxed);
        self.replicate().reconcile().await.expect("reconciles");
        for _ in 0..4 {
            self.rotate().run(None).await.expect("rotates");
            self.replicate().reconcile().await.expect("reconciles");
        }
        assert_eq!(self.rotate().run(None).await.expect("rotates"), None, "the rotation has come to its end");
        self.check().await;
        let verified = self.verify().run(VerifyRequest { level: Level::Everything, deadline: None }).await;
        let verified = verified.expect("verifies");
        let damage = verified.reports.iter().flat_map(|r| &r.findings).find(|f| f.code.is_damage());
        assert!(damage.is_none(), "{damage:?}");
        // With the new key alone.
        self.cloud.set("BACKUP_FORMER_KEY_IDS", "");
        self.clients = self.cloud.clients().await;
        let mut restored = 0;
        let records = self.records().await;
        for record in &records {
            let is_last = record.superseded_by.is_none();
            if record.status == Status::Completed && record.expired_at.is_none() && is_last {
                self.require_restorable(record.id).await;
                restored += 1;
            }
        }
        assert!(restored > 0, "{records:?}");
    }
}

#[tokio::test]
async fn over_the_local_aws_too() {
    let first = number("BACKUP_SCHEDULE_SEED", 1);
    for seed in first..first + number("BACKUP_AWS_SCHEDULES", SCHEDULES) {
        let mut schedule = Schedule::new(seed).await;
        let run = async {
            for step in 0..STEPS {
                schedule.step(step).await;
                schedule.check().await;
            }
            schedule.quiet().await;
        };
        if let Err(panic) = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(Box::pin(run))).await {
            eprintln!("seed {seed}, after:\n  {}", schedule.said.join("\n  "));
            std::panic::resume_unwind(panic);
        }
    }
}

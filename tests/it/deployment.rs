//! The operations over a real PostgreSQL and vaults in memory.

use crate::postgres::{Postgres, tools};
use aws::machine::SystemClock;
use engine::catalog::{SnapshotRecord, Trigger};
use engine::error::{Error, ErrorKind, Result};
use engine::inventory;
use engine::keyring::Keyring;
use engine::manifest::Manifest;
use engine::ops::backup::{Backup, BackupOutcome, BackupRequest, BackupSettings};
use engine::ops::replicate::Replicate;
use engine::ops::restore::{Restore, Restored, Selection};
use engine::queue::BackupOrder;
use engine::storage::Storage;
use engine::vault::Vault;
use pg::{Address, Clients, PgSource, PgTarget, SourceSettings, TargetSettings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use testkit::World;

/// A world, and how its databases are reached.
pub(crate) struct Deployment {
    pub(crate) world: World,
    pub(crate) settings: BackupSettings,
    pub(crate) lock_timeout: Duration,
    /// The objects that are backed up, and where they are restored to.
    pub(crate) storages: [Option<Arc<dyn Storage>>; 2],
    roots: Option<PathBuf>,
}

impl Deployment {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new(seed).expect("a world");
        let settings = BackupSettings {
            source: "database".to_owned(),
            sessions: 2,
            compression_level: 1,
            segment_blocks: 64,
            incremental: true,
            full_every_days: None,
            policies: Arc::default(),
        };
        Self { world, settings, lock_timeout: Duration::from_secs(2), storages: [None, None], roots: None }
    }

    /// With a file of roots that servers' certificates must lead to.
    pub(crate) fn with_roots(self, roots: PathBuf) -> Self {
        Self { roots: Some(roots), ..self }
    }

    pub(crate) fn keyring(&self, region: usize) -> Arc<Keyring> {
        self.world.keyring(region)
    }

    /// How a database is read.
    pub(crate) fn source(&self, url: &str) -> SourceSettings {
        SourceSettings {
            address: Address::parse(url, self.roots.clone()).expect("a URL"),
            clients: Clients::new(tools().join("clients")),
            sessions: self.settings.sessions,
            lock_timeout: self.lock_timeout,
            owner: "tests".to_owned(),
        }
    }

    pub(crate) fn backup(&self, url: &str) -> Backup {
        Backup {
            vaults: self.world.ports(),
            keyring: self.keyring(0),
            catalog: Arc::clone(&self.world.catalog) as _,
            source: Arc::new(PgSource::new(self.source(url))),
            storage: self.storages[0].clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::clone(&self.world.entropy) as _,
            settings: self.settings.clone(),
            queue: Some(Arc::clone(&self.world.queue) as _),
        }
    }

    /// Makes a snapshot of a database, and gives its record.
    pub(crate) async fn back_up(&self, url: &str) -> Result<SnapshotRecord> {
        self.run(self.backup(url)).await
    }

    /// Runs a backup to its end.
    pub(crate) async fn run(&self, backup: Backup) -> Result<SnapshotRecord> {
        let request = BackupRequest { order: BackupOrder::new(Trigger::Manual), deadline: None };
        match backup.run(request).await? {
            BackupOutcome::Committed(record) => Ok(*record),
            other => panic!("not committed: {other:?}"),
        }
    }

    /// What a backup of the primary vault lists.
    pub(crate) async fn manifest(&self, record: &SnapshotRecord) -> Manifest {
        let vault = &self.world.vaults[0];
        let (inventory, _) = inventory::read(&**vault, record.id).await.expect("reads the inventory");
        let sealed = vault.get(&inventory.manifest.key).await.expect("reads the manifest");
        Manifest::open(&self.keyring(0), inventory.attempt, &sealed).await.expect("opens the manifest")
    }

    pub(crate) fn replicate(&self) -> Replicate {
        Replicate {
            vaults: self.world.ports(),
            catalog: Arc::clone(&self.world.catalog) as _,
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn restore(&self, region: usize, url: &str) -> Restore {
        let target = TargetSettings {
            address: Address::parse(url, self.roots.clone()).expect("a URL"),
            clients: Clients::new(tools().join("clients")),
            sessions: 2,
        };
        Restore {
            vault: Arc::clone(&self.world.vaults[region]) as _,
            keyring: self.keyring(region),
            target: Arc::new(PgTarget::new(target)),
            storage: self.storages[1].clone(),
            sessions: 2,
            policies: Arc::clone(&self.settings.policies),
            clock: Arc::new(SystemClock),
            catalog: None,
            orders: None,
            counters: Arc::default(),
            journal: None,
        }
    }

    /// Restores the newest snapshot of a region's vault.
    pub(crate) async fn restore_newest(&self, region: usize, url: &str) -> Result<Restored> {
        self.restore(region, url).run(Selection::Newest).await
    }
}

/// A server with an empty database of that name.
pub(crate) fn server_with(database: &str) -> (Postgres, String) {
    let server = Postgres::start();
    let url = server.create(database);
    (server, url)
}

/// Requires that an error is of a kind, and that a person can tell from it what is wrong.
pub(crate) fn assert_says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

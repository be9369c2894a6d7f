//! Restores a backup into an empty database server that exists for nothing else, and throws it away: the only proof that a
//! backup can be restored.
//!
//! Always holds: a drill that failed says something of the backup, and one that broke does not; the backup is read from one vault
//! alone, without the catalog. Never: writes to a vault, or to any database but its own.

mod checks;
mod record;

pub use checks::{Check, Checked, Checks};
pub use record::{DrillOutcome, DrillRecord, Extent, Streak};

use crate::catalog::{self, Catalog, Drilled, Warning};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{DrillId, SnapshotId};
use crate::inventory::{self, Inventory};
use crate::keyring::Keyring;
use crate::limits::{CHECK_S, DEADLINE_MARGIN_MAX_S, DRILL_GROWTH, DRILL_LEASE_S, DRILL_WARNINGS_KEPT, RECORDS_KEPT_S};
use crate::manifest::Manifest;
use crate::ops::restore::{Restore, RestoreRequest, Restored, Selection};
use crate::policy::Policies;
use crate::sandbox::{Sandbox, SandboxServer};
use crate::scope::RelationName;
use crate::source::TableKind;
use crate::vault::{Vault, Vaults};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// The name of the lease.
const LEASE: &str = "drill";

/// Which backup is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The newest.
    Latest,
    /// Any of the last so many days, at random.
    Random(u32),
}

/// The operation and its ports.
pub struct Drill {
    /// The three vaults: each day another is read.
    pub vaults: Vaults,
    /// The key in the region of each vault.
    pub keyrings: [Arc<Keyring>; 3],
    /// Where the result is kept.
    pub catalog: Arc<dyn Catalog>,
    /// Where it is restored.
    pub sandbox: Arc<dyn Sandbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Which backup.
    pub choice: Choice,
    /// What the owner knows of the data.
    pub checks: Arc<Checks>,
    /// Sessions that load at once.
    pub sessions: usize,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct DrillRequest {
    /// A backup, instead of the choice.
    pub backup: Option<SnapshotId>,
    /// A region, instead of the one whose turn it is.
    pub region: Option<String>,
    /// When the function will be stopped, if that is known.
    pub deadline: Option<Timestamp>,
}

/// Why a drill has not passed.
enum Wrong {
    Failed(Error),
    Broken(Error),
}

impl Drill {
    /// Drills. What came of it is in the record, also where it failed or broke.
    ///
    /// # Errors
    /// `Conflict` when another drill is under way; `Invalid` for a region without a vault; those of the catalog.
    pub async fn run(&self, request: DrillRequest) -> Result<DrillRecord> {
        let id = DrillId::new(&*self.clock, &*self.entropy)?;
        let now = self.clock.now();
        let place = self.place(request.region.as_deref()).await?;
        let until = request.deadline.unwrap_or_else(|| now.plus_s(DRILL_LEASE_S));
        let lease =
            self.catalog.acquire(LEASE, &id.to_string(), now, until).await.context("take the lease to drill")?;
        let result = self.run_leased(id, place, request, now).await;
        if let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(error = %e, "could not give the lease back; it expires by itself");
        }
        result
    }

    /// The vault that is asked for, or the one after that of the last drill.
    async fn place(&self, region: Option<&str>) -> Result<usize> {
        let vaults = self.vaults.all();
        let at = |region: &str| vaults.iter().position(|v| v.place().region == region);
        if let Some(region) = region {
            self.vaults.in_region(region)?;
            return at(region).ok_or_else(|| Error::internal("a vault that is not one of the vaults"));
        }
        let last = catalog::list::<DrillRecord>(&*self.catalog, None, 1).await.context("look for the last drill")?;
        Ok(last.records.first().and_then(|drill| at(&drill.region)).map_or(0, |last| (last + 1) % vaults.len()))
    }

    async fn run_leased(
        &self,
        id: DrillId,
        place: usize,
        request: DrillRequest,
        now: Timestamp,
    ) -> Result<DrillRecord> {
        let vault = &self.vaults.all()[place];
        let mut record = DrillRecord {
            id,
            started_at: now,
            completed_at: None,
            outcome: DrillOutcome::Running,
            error: None,
            backup: request.backup,
            region: vault.place().region.clone(),
            server: self.sandbox.kind().to_owned(),
            extent: Extent::Everything,
            recovery_ms: None,
            tables: 0,
            rows: 0,
            bytes: 0,
            constraints: 0,
            checks: Vec::new(),
            warnings: Vec::new(),
        };
        catalog::insert(&*self.catalog, &record).await.context("record that this drill began")?;
        let done = self.drill(place, &request, &mut record).await;
        record.completed_at = Some(self.clock.now());
        match done {
            Ok(()) => record.outcome = DrillOutcome::Passed,
            Err(wrong) => {
                let (outcome, e) = match wrong {
                    Wrong::Failed(e) => (DrillOutcome::Failed, e),
                    Wrong::Broken(e) => (DrillOutcome::Broken, e),
                };
                record.outcome = outcome;
                record.error = Some(e.to_string());
            }
        }
        catalog::replace(&*self.catalog, &record, 1).await.context("record what came of the drill")?;
        self.note(&record).await?;
        let is_over = |r: &DrillRecord| r.started_at.plus_s(RECORDS_KEPT_S) <= now;
        catalog::forget(&*self.catalog, is_over).await?;
        Ok(record)
    }

    /// A drill that does not fit into its time says so, instead of being stopped.
    async fn in_time(
        &self,
        work: impl Future<Output = std::result::Result<(), Wrong>>,
        deadline: Option<Timestamp>,
    ) -> std::result::Result<(), Wrong> {
        let Some(deadline) = deadline else { return work.await };
        let left_ms = deadline.since(self.clock.now()) - DEADLINE_MARGIN_MAX_S * 1_000;
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(left) => Err(Wrong::Broken(Error::exhausted(
                "the drill does not fit into the function's time: give it more memory, and with it more processor, or set \
                 BACKUP_DRILL_BYTES_MAX lower, so that a sample is restored"
            ))),
        }
    }

    async fn drill(
        &self,
        place: usize,
        request: &DrillRequest,
        record: &mut DrillRecord,
    ) -> std::result::Result<(), Wrong> {
        let vault = &self.vaults.all()[place];
        let inventory = self.choose(vault, request.backup).await?;
        record.backup = Some(inventory.snapshot);
        let sample = self.sample(place, &inventory).await.map_err(about_the_backup)?;
        if sample.is_some() {
            record.extent = Extent::Sample;
        }
        let server = self.sandbox.start().await.context("start a server to restore into").map_err(Wrong::Broken)?;
        let prove = async {
            let begun = self.clock.now();
            let restored = self.restore(place, &inventory, sample, &*server).await.map_err(about_the_backup)?;
            record.recovery_ms = Some(self.clock.now().since(begun));
            (record.tables, record.rows, record.bytes) = (restored.tables, restored.rows, restored.bytes);
            record.warnings = restored.warnings;
            record.warnings.truncate(DRILL_WARNINGS_KEPT);
            self.examine(&*server, record).await
        };
        let span = tracing::info_span!("drill", backup = %inventory.snapshot);
        let done = self.in_time(prove, request.deadline).instrument(span).await;
        // Whatever came of it, nothing of the data stays.
        if let Err(e) = server.end().await {
            tracing::warn!(error = %e, "the drill's server did not end as it should");
        }
        done
    }

    async fn restore(
        &self,
        place: usize,
        inventory: &Inventory,
        rows_of: Option<BTreeSet<RelationName>>,
        server: &dyn SandboxServer,
    ) -> Result<Restored> {
        let restore = Restore {
            vault: Arc::clone(&self.vaults.all()[place]),
            keyring: Arc::clone(&self.keyrings[place]),
            target: server.target(),
            storage: None,
            sessions: self.sessions,
            policies: Arc::new(Policies::default()),
            clock: Arc::clone(&self.clock),
            catalog: Some(Arc::clone(&self.catalog)),
            orders: None,
            counters: Arc::default(),
            journal: None,
        };
        let selection = Selection::Snapshot(inventory.snapshot);
        restore.run(RestoreRequest { rows_of, ..selection.into() }).await
    }

    /// What the restore has not proven already.
    async fn examine(&self, server: &dyn SandboxServer, record: &mut DrillRecord) -> std::result::Result<(), Wrong> {
        let constraints = server.constraints().await.context("look at the constraints").map_err(Wrong::Broken)?;
        record.constraints = constraints.validated;
        if !constraints.not_validated.is_empty() {
            let message = format!(
                "these hold for new rows only, as in the source or because of what was left out: {}",
                constraints.not_validated.join(", ")
            );
            record.warnings.push(Warning { code: "not_validated".to_owned(), message });
        }
        if record.extent == Extent::Everything {
            for check in &self.checks.checks {
                let answer = match server.ask(&check.query, CHECK_S).await {
                    Err(e) if e.kind() == ErrorKind::Unavailable => return Err(Wrong::Broken(e)),
                    answer => answer,
                };
                record.checks.push(check.compare(answer));
            }
        }
        let failed: Vec<&str> = record.checks.iter().filter(|c| !c.passed).map(|c| c.name.as_str()).collect();
        match failed.as_slice() {
            [] => Ok(()),
            [first, others @ ..] => Err(Wrong::Failed(Error::corrupt(format!(
                "{} of {} checks did not pass; the first: {first}",
                1 + others.len(),
                record.checks.len()
            )))),
        }
    }

    /// The backup to restore, of those that the vault holds. One that is not there says nothing of the others; none at all does.
    async fn choose(
        &self,
        vault: &Arc<dyn Vault>,
        wanted: Option<SnapshotId>,
    ) -> std::result::Result<Inventory, Wrong> {
        let chosen = match wanted {
            Some(id) => inventory::last_generation(&**vault, id).await.map_err(Wrong::Broken)?.unwrap_or(id),
            None => {
                let ids = inventory::list(&**vault).await.map_err(Wrong::Broken)?;
                let none = || Error::not_found(format!("there is no backup in the {}", vault.place()));
                let newest = ids.last().copied().ok_or_else(none).map_err(Wrong::Failed)?;
                match self.choice {
                    Choice::Latest => newest,
                    Choice::Random(days) => {
                        let since = self.clock.now().plus_s(-86_400 * i64::from(days));
                        let recent: Vec<SnapshotId> = ids.into_iter().filter(|id| id.made_at() >= since).collect();
                        match recent.len() {
                            0 => newest,
                            n => recent[(self.random().map_err(Wrong::Broken)? % n as u64) as usize],
                        }
                    }
                }
            }
        };
        match inventory::read(&**vault, chosen).await {
            Ok((inventory, _)) => Ok(inventory),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Wrong::Broken(e)),
            Err(e) => Err(about_the_backup(e)),
        }
    }

    /// The tables that fit, chosen at random, where all do not.
    async fn sample(&self, place: usize, inventory: &Inventory) -> Result<Option<BTreeSet<RelationName>>> {
        let room = self.sandbox.room_bytes();
        if inventory.bytes.saturating_mul(DRILL_GROWTH) <= room {
            return Ok(None);
        }
        let sealed = self.vaults.all()[place].get(&inventory.manifest.key).await?;
        let manifest = Manifest::open(&self.keyrings[place], inventory.attempt, &sealed).await?;
        let mut left: Vec<_> = manifest.tables.iter().filter(|t| t.table.kind == TableKind::Table).collect();
        let (mut tables, mut bytes) = (BTreeSet::new(), 0u64);
        while !left.is_empty() {
            let next = left.swap_remove((self.random()? % left.len() as u64) as usize);
            let with_it = bytes.saturating_add(next.tally.bytes.saturating_mul(DRILL_GROWTH));
            if with_it <= room {
                bytes = with_it;
                tables.insert(RelationName { schema: next.table.schema.clone(), name: next.table.name.clone() });
            }
        }
        if tables.is_empty() {
            return Err(Error::exhausted("not even the smallest table fits into the drill's room"));
        }
        Ok(Some(tables))
    }

    fn random(&self) -> Result<u64> {
        let mut random = [0; 8];
        self.entropy.fill(&mut random)?;
        Ok(u64::from_le_bytes(random))
    }

    /// Writes into the backup's record what came of it.
    async fn note(&self, drill: &DrillRecord) -> Result<()> {
        let Some(id) = drill.backup.filter(|_| drill.outcome != DrillOutcome::Broken) else { return Ok(()) };
        let drilled = Drilled {
            at: drill.completed_at.unwrap_or(drill.started_at),
            region: drill.region.clone(),
            passed: drill.outcome == DrillOutcome::Passed,
            whole: drill.extent == Extent::Everything,
            recovery_ms: drill.recovery_ms,
            rows: drill.rows,
            bytes: drill.bytes,
        };
        let noted = catalog::amend(&*self.catalog, id, |record| {
            record.drilled = Some(drilled.clone());
            Ok(true)
        });
        match noted.await {
            // The catalog is a cache: what it lacks is put back by `replicate`.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            noted => noted.map(|_| ()),
        }
    }
}

/// Whether an error of a restore says something of the backup, or only of the drill.
fn about_the_backup(e: Error) -> Wrong {
    match e.kind() {
        ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid => Wrong::Failed(e),
        _ => Wrong::Broken(e),
    }
}

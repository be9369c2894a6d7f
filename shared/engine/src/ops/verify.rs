//! Reads back what the vaults hold, and says of each snapshot and vault what is wrong.
//!
//! Two levels: every object of every inventory is looked at in every vault, by what the store says of its length, checksum and
//! lock; and a share of the segments, manifests and schema archives is opened and compared, so that all of it is read once a round
//! (`BACKUP_VERIFY_DAYS`), each round in another vault.
//!
//! Always holds: it writes to the catalog alone, and shares nothing with what writes backups but the format's reader. A vault or a
//! key service that does not answer is an error, and no finding. What it finds missing, `replicate` puts back.

mod presence;
mod reading;
mod record;
mod rotation;
mod subject;

pub use record::{SnapshotReport, VaultReading, VerificationRecord, VerifyOutcome};

use crate::catalog::{self, Catalog, Finding, FindingCode, SnapshotRecord, Verified};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{SnapshotId, VerificationId};
use crate::keyring::Keyring;
use crate::layout::ObjectKey;
use crate::limits::{DEADLINE_MARGIN_MAX_S, RECORDS_KEPT_S, VERIFY_LEASE_S};
use crate::vault::Vaults;
use crate::versions::Versions;
use reading::Reread;
use rotation::{Rotation, round_hours};
use std::collections::BTreeMap;
use std::sync::Arc;
use subject::Subject;

/// The name of the lease.
const LEASE: &str = "verify";

/// The operation and its ports.
pub struct Verify {
    /// The three vaults.
    pub vaults: Vaults,
    /// What they hold, in the same order.
    pub versions: [Arc<dyn Versions>; 3],
    /// The key in the region of each vault.
    pub keyrings: [Arc<Keyring>; 3],
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How it is done.
    pub settings: VerifySettings,
}

/// How backups are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifySettings {
    /// Days in which everything is read once.
    pub rotation_days: u32,
    /// Days that a backup is kept, and so locked.
    pub retention_days: u32,
}

/// How much is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// What is due.
    #[default]
    Due,
    /// Everything, in every vault.
    Everything,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyRequest {
    /// How much is read.
    pub level: Level,
    /// When the function will be stopped, if that is known.
    pub deadline: Option<Timestamp>,
}

/// What was found.
#[derive(Debug)]
pub struct VerifyReport {
    /// The run.
    pub record: VerificationRecord,
    /// One for each snapshot and vault.
    pub reports: Vec<SnapshotReport>,
}

impl VerifyReport {
    /// Whether everything that was looked at is what was backed up.
    pub fn is_clean(&self) -> bool {
        self.reports.iter().all(|r| r.findings.is_empty())
    }
}

impl Verify {
    /// Verifies.
    ///
    /// # Errors
    /// `Conflict` when another run is under way; those of the vaults, the key services and the catalog. What was found before the
    /// error is in the catalog. What is wrong with a snapshot is no error, but in the report.
    pub async fn run(&self, request: VerifyRequest) -> Result<VerifyReport> {
        let id = VerificationId::new(&*self.clock, &*self.entropy)?;
        let now = self.clock.now();
        let until = request.deadline.unwrap_or_else(|| now.plus_s(VERIFY_LEASE_S));
        let lease =
            self.catalog.acquire(LEASE, &id.to_string(), now, until).await.context("take the lease to verify")?;
        let result = self.run_leased(id, request, now).await;
        if let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(error = %e, "could not give the lease back; it expires by itself");
        }
        result
    }

    async fn run_leased(&self, id: VerificationId, request: VerifyRequest, now: Timestamp) -> Result<VerifyReport> {
        let read_to = self.read_to().await?;
        let due = Rotation::due(self.settings.rotation_days, read_to, now);
        let rotation = match request.level {
            Level::Due => due,
            Level::Everything => Rotation::everything(now),
        };
        let mut record = VerificationRecord {
            id,
            started_at: now,
            completed_at: None,
            outcome: VerifyOutcome::Running,
            error: None,
            rotation_days: self.settings.rotation_days,
            read_to_hour: due.first,
            hours_behind: 0,
            vaults: self.vaults.all().iter().map(|v| VaultReading::new(v.place().clone())).collect(),
            reports: Vec::new(),
        };
        catalog::insert(&*self.catalog, &record).await.context("record that this run began")?;
        let done = self.act(request, rotation, &mut record, now).await;
        record.completed_at = Some(self.clock.now());
        record.hours_behind = u64::try_from(rotation.end - record.read_to_hour).unwrap_or(0);
        if let Err(e) = &done {
            record.outcome = VerifyOutcome::Failed;
            record.error = Some(e.to_string());
        }
        let written = catalog::replace(&*self.catalog, &record, 1).await.context("record what was verified");
        let reports = done?;
        written.map(|()| VerifyReport { record, reports })
    }

    async fn act(
        &self,
        request: VerifyRequest,
        rotation: Rotation,
        record: &mut VerificationRecord,
        now: Timestamp,
    ) -> Result<Vec<SnapshotReport>> {
        let records = catalog::all::<SnapshotRecord>(&*self.catalog).await?;
        let records = records.into_iter().map(|r| (r.id, r)).collect();
        // A vault that does not answer keeps the others from nothing.
        let (mut subjects, mut failed) = (Vec::new(), None);
        // Each day another comes first: if the time does not suffice, it is another that is not looked at.
        let (count, due) = (self.versions.len(), record.read_to_hour);
        for vault in (0..count).map(|n| (n + rotation.manifest_vault(count)) % count) {
            match self.look(vault, &records, &mut record.vaults[vault], now, request.deadline).await {
                Ok(found) => subjects.extend(found),
                Err(e) => failed = Some(e),
            }
        }
        let read = self.read(&mut subjects, &records, rotation, request.level, record, request.deadline).await;
        let (reread, in_time) = match read {
            Ok(read) => {
                failed = failed.or(read.failed);
                (read.reread, read.in_time)
            }
            Err(e) => {
                failed = failed.or(Some(e));
                (Reread::new(), false)
            }
        };
        if failed.is_some() {
            // Whose turn it was in a vault that did not answer is not known any more: all of it is read again.
            record.read_to_hour = due;
        }
        let whole = request.level == Level::Everything && in_time && failed.is_none();
        let subjects = self.mark(subjects, &reread, rotation.end, record.read_to_hour, whole).await?;
        let places = self.vaults.all();
        let reports: Vec<SnapshotReport> = subjects.iter().map(|s| s.report(places[s.vault].place())).collect();
        record.note(&reports);
        if let Some(found) = record.summary() {
            tracing::error!(alarm = "backup_damaged", run = %record.id, error = %found, "a vault does not hold what was backed up");
        }
        self.forget_old_records(now).await?;
        if let Some(e) = failed {
            return Err(e);
        }
        record.outcome = if in_time { VerifyOutcome::Done } else { VerifyOutcome::OutOfTime };
        Ok(reports)
    }

    /// Writes down in the backups' records what was found. Gives the subjects that nobody let go meanwhile.
    async fn mark(
        &self,
        subjects: Vec<Subject>,
        reread: &Reread,
        now_hour: i64,
        read_to: i64,
        whole: bool,
    ) -> Result<Vec<Subject>> {
        let (now, round) = (self.clock.now(), round_hours(self.settings.rotation_days));
        let mut by_snapshot: BTreeMap<SnapshotId, Vec<Subject>> = BTreeMap::new();
        for subject in subjects {
            by_snapshot.entry(subject.snapshot).or_default().push(subject);
        }
        let mut stay = Vec::new();
        for (id, mut subjects) in by_snapshot {
            let key = ObjectKey::Inventory(id);
            let knows = |s: &Subject| s.inventory.is_some() && s.unlike_catalog.is_none() && s.is_sound(key);
            // The catalog is wrong only if no vault holds the inventory that it knows.
            if subjects.iter().any(|s| knows(s) && s.corrects_catalog.is_none()) {
                for subject in subjects.iter_mut().filter(|s| s.corrects_catalog.is_some()) {
                    subject.corrects_catalog = None;
                    let why = "the inventory is not the one that the catalog and another vault know";
                    subject.note(FindingCode::Altered, key, why);
                }
            }
            let change = |record: &mut SnapshotRecord| {
                if record.expired_at.is_some() {
                    return Ok(false);
                }
                for subject in &subjects {
                    if let Some(right) = &subject.corrects_catalog {
                        tracing::warn!(backup = %id, "the catalog knew another inventory; it is corrected");
                        record.summary = Some(right.clone());
                    }
                    let role = self.vaults.all()[subject.vault].place().role;
                    let read = |f: &Finding| reread.contains(&(subject.vault, f.object));
                    if record.mark_verified(role, subject.findings.clone(), read, now) {
                        tracing::warn!(backup = %id, vault = %role, findings = ?subject.findings, "a vault's state changed");
                    }
                }
                let verified = record.verified.get_or_insert(Verified { from_hour: now_hour, read_at: None });
                let all_read = whole || read_to - verified.from_hour >= round;
                if all_read && record.replicas.iter().all(|r| r.findings.iter().all(|f| !f.code.is_damage())) {
                    verified.read_at.get_or_insert(now);
                }
                Ok(true)
            };
            match catalog::amend(&*self.catalog, id, change).await {
                Ok(record) if record.expired_at.is_some() => continue,
                // The catalog is a cache: what it lacks is put back by `replicate`.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                amended => {
                    amended?;
                }
            }
            stay.extend(subjects);
        }
        Ok(stay)
    }

    /// The hour before which everything was read.
    async fn read_to(&self) -> Result<Option<i64>> {
        let page = catalog::list::<VerificationRecord>(&*self.catalog, None, 1).await;
        Ok(page.context("look for the last verification")?.records.first().map(|r| r.read_to_hour))
    }

    async fn forget_old_records(&self, now: Timestamp) -> Result<()> {
        let is_over = |r: &VerificationRecord| r.started_at.plus_s(RECORDS_KEPT_S) <= now;
        catalog::forget(&*self.catalog, is_over).await
    }

    /// Whether there is no time left.
    fn is_out_of_time(&self, deadline: Option<Timestamp>) -> bool {
        deadline.is_some_and(|d| d.since(self.clock.now()) <= DEADLINE_MARGIN_MAX_S * 1_000)
    }
}

impl VerificationRecord {
    /// What is wrong, in one line: for the log and the alarm.
    pub fn summary(&self) -> Option<Error> {
        let count: u64 = self.vaults.iter().map(|v| v.findings).sum();
        let first = self.reports.first()?;
        let finding = first.findings.first()?;
        Some(Error::corrupt(format!(
            "{count} findings; the first: backup {} in the {}: {}: {}",
            first.snapshot, first.place, finding.object, finding.message
        )))
    }
}

//! Makes one snapshot in the primary vault.
//!
//! Order of writes, which makes the inventory the commit point: packs, schema, manifest, inventory, catalog. Whatever is
//! stored before the inventory belongs to nobody until it is there. Always holds: one attempt, one transaction snapshot,
//! one data key a purpose. It never deletes, and never opens what it sealed.

mod attempt;
mod packing;
mod progress;
mod reading;

use crate::catalog::{self, AttemptRecord, Catalog, Lease, Phase, SnapshotRecord, Status, Trigger, Versioned};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{AttemptId, SnapshotId};
use crate::inventory;
use crate::keyring::Keyring;
use crate::limits::{DEADLINE_MARGIN_S, LEASE_RENEW_S, LEASE_TTL_S, PROGRESS_MS};
use crate::source::Source;
use crate::vault::Vaults;
use attempt::Committed;
use progress::Counters;
use std::sync::Arc;
use std::time::Duration;

/// How a backup is made.
#[derive(Clone, Debug)]
pub struct BackupSettings {
    /// The name of the source; backups of one source exclude each other.
    pub source: String,
    /// Copy sessions.
    pub sessions: usize,
    /// The zstd level.
    pub compression_level: i32,
    /// Blocks a segment.
    pub segment_blocks: u32,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct BackupRequest {
    /// A backup whose record is there already; a new one without.
    pub id: Option<SnapshotId>,
    /// What asks.
    pub trigger: Trigger,
    /// When the function will be stopped, if that is known.
    pub deadline: Option<Timestamp>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum BackupOutcome {
    /// The snapshot is whole in the primary vault. Its record as it was then.
    Committed(Box<SnapshotRecord>),
    /// Nothing was begun: another backup of the source runs. Says which.
    Busy(String),
}

/// The operation and its ports.
pub struct Backup {
    /// The three vaults; only the primary is written to.
    pub vaults: Vaults,
    /// The keys.
    pub keyring: Arc<Keyring>,
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// What is backed up.
    pub source: Arc<dyn Source>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How.
    pub settings: BackupSettings,
}

impl Backup {
    /// Makes a snapshot. Its record ends in `in_progress` (replicating) or `failed`, whatever happens.
    ///
    /// # Errors
    /// Why there is none. The record says the same.
    pub async fn run(&self, request: BackupRequest) -> Result<BackupOutcome> {
        let id = match request.id {
            Some(id) => id,
            None => SnapshotId::new(&*self.clock, &*self.entropy)?,
        };
        let now = self.clock.now();
        let lease = match self.catalog.acquire(&self.settings.source, id, now, now.plus_s(LEASE_TTL_S)).await {
            Ok(lease) => lease,
            Err(e) if e.kind() == ErrorKind::Conflict && request.id.is_none() => {
                return Ok(BackupOutcome::Busy(e.to_string()));
            }
            Err(e) => return Err(e.context("take the lease of the source")),
        };
        let result = self.run_leased(id, request, &lease).await;
        // A lease that cannot be given back expires by itself.
        if let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(backup = %id, error = %e, "could not give the lease back");
        }
        result
    }

    async fn run_leased(&self, id: SnapshotId, request: BackupRequest, lease: &Lease) -> Result<BackupOutcome> {
        settle_abandoned(&*self.catalog, &self.vaults, &*self.clock, Some((&self.settings.source, lease.epoch)))
            .await?;
        let attempt = AttemptRecord { id: AttemptId::new(&*self.clock, &*self.entropy)?, epoch: lease.epoch };
        let record = self.begin(id, request.trigger, attempt).await?;
        let counters = Arc::new(Counters::default());
        let made = {
            let work = self.attempt(&record, attempt.id, lease, &counters);
            let beat = self.heartbeat(id, attempt.id, lease, &counters, request.deadline);
            tokio::pin!(work);
            tokio::pin!(beat);
            tokio::select! {
                made = &mut work => made,
                stopped = &mut beat => Err(stopped),
            }
        };
        match made {
            Ok(committed) => {
                self.commit(id, attempt.id, committed).await.map(|r| BackupOutcome::Committed(Box::new(r)))
            }
            Err(e) => {
                self.give_up(id, attempt.id, &e).await;
                Err(e)
            }
        }
    }

    async fn begin(&self, id: SnapshotId, trigger: Trigger, attempt: AttemptRecord) -> Result<SnapshotRecord> {
        let places: Vec<_> = self.vaults.all().iter().map(|v| v.place().clone()).collect();
        let now = self.clock.now();
        let mut record = SnapshotRecord::pending(id, self.settings.source.clone(), trigger, now, &places);
        // In one write: a record that no attempt owns would be nobody's to settle.
        record.begin(attempt, now)?;
        match self.catalog.insert(&record).await {
            Ok(()) => Ok(record),
            // The record that was made when the backup was asked for.
            Err(e) if e.kind() == ErrorKind::Conflict => {
                catalog::amend(&*self.catalog, id, |record| record.begin(attempt, now).map(|()| true)).await
            }
            Err(e) => Err(e.context("write the backup's record")),
        }
    }

    async fn commit(&self, id: SnapshotId, attempt: AttemptId, made: Committed) -> Result<SnapshotRecord> {
        let now = self.clock.now();
        catalog::amend(&*self.catalog, id, |record| {
            record.commit(attempt, made.summary.clone(), made.warnings.clone(), now).map(|()| true)
        })
        .await
        .context("record that the backup is committed")
    }

    /// Records the failure, unless a newer attempt has taken over: then the record is its.
    async fn give_up(&self, id: SnapshotId, attempt: AttemptId, error: &Error) {
        let now = self.clock.now();
        let message = error.to_string();
        let recorded = catalog::amend(&*self.catalog, id, |record| {
            Ok(record.attempt.is_some_and(|a| a.id == attempt) && record.fail(message.clone(), now))
        })
        .await;
        if let Err(e) = recorded {
            tracing::error!(backup = %id, error = %e, "could not record that the backup failed");
        }
    }

    /// Tells how far it is, keeps the lease, and watches the deadline. Comes back only with the reason to stop.
    async fn heartbeat(
        &self,
        id: SnapshotId,
        attempt: AttemptId,
        lease: &Lease,
        counters: &Counters,
        deadline: Option<Timestamp>,
    ) -> Error {
        let started = self.clock.now();
        let (mut renewed, mut told, mut misses) = (started, None, 0u32);
        loop {
            self.clock.sleep(Duration::from_millis(PROGRESS_MS)).await;
            let now = self.clock.now();
            if deadline.is_some_and(|d| now.plus_s(DEADLINE_MARGIN_S) >= d) {
                return counters.out_of_time(now.since(started) / 1_000);
            }
            if now.since(renewed) >= LEASE_RENEW_S * 1_000 {
                match self.catalog.renew(lease, now.plus_s(LEASE_TTL_S)).await {
                    Ok(_) => renewed = now,
                    Err(e) if e.kind() == ErrorKind::Conflict => return e.context("keep the lease of the source"),
                    Err(e) if now.since(renewed) >= (LEASE_TTL_S - LEASE_RENEW_S) * 1_000 => {
                        return e.context("keep the lease of the source");
                    }
                    Err(e) => tracing::warn!(backup = %id, error = %e, "could not renew the lease; trying again"),
                }
            }
            let (phase, progress) = counters.progress();
            let news = told != Some((phase, progress)) || now.since(renewed) == 0;
            if !news {
                continue;
            }
            match catalog::amend(&*self.catalog, id, |r| r.advance(attempt, phase, progress, now).map(|()| true)).await
            {
                Ok(_) => (told, misses) = (Some((phase, progress)), 0),
                Err(e) if e.kind() == ErrorKind::Conflict => return e.context("tell how far the backup is"),
                Err(e) => {
                    misses += 1;
                    tracing::warn!(backup = %id, misses, error = %e, "could not tell how far the backup is");
                }
            }
        }
    }
}

/// Settles records of attempts that stopped without a word: those with an epoch below that of the lease that the caller
/// holds for the source, or, without one, those whose heartbeat is older than any lease. One whose inventory is in the
/// primary vault was committed; any other failed. Gives the ids that it settled.
///
/// # Errors
/// Those of the catalog and the vault.
pub async fn settle_abandoned(
    catalog: &dyn Catalog,
    vaults: &Vaults,
    clock: &dyn Clock,
    held: Option<(&str, u64)>,
) -> Result<Vec<SnapshotId>> {
    let (mut before, mut settled) = (None, Vec::new());
    loop {
        let page = catalog.list(before, 100).await.context("list the backups' records")?;
        for record in &page.records {
            let now = clock.now();
            let Some(attempt) = record.attempt else { continue };
            let silent = now.since(record.heartbeat_at) > LEASE_TTL_S * 1_000;
            let abandoned = match held {
                Some((source, epoch)) => record.source == source && attempt.epoch < epoch,
                None => silent,
            };
            if record.status != Status::InProgress || record.phase == Phase::Replicating || !abandoned {
                continue;
            }
            if settle(catalog, vaults, record.id, attempt, clock.now()).await? {
                settled.push(record.id);
            }
        }
        match page.next {
            Some(next) => before = Some(next),
            None => return Ok(settled),
        }
    }
}

async fn settle(
    catalog: &dyn Catalog,
    vaults: &Vaults,
    id: SnapshotId,
    attempt: AttemptRecord,
    now: Timestamp,
) -> Result<bool> {
    let committed = match inventory::read(&**vaults.primary(), id).await {
        Ok((inventory, stored)) => Some(inventory.summary(&stored)),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    let mut changed = false;
    let amended = catalog::amend(catalog, id, |record| {
        changed = match &committed {
            Some(summary) => record.commit(attempt.id, summary.clone(), record.warnings.clone(), now).map(|()| true)?,
            None => {
                record.fail("the function that made this backup stopped without a word; the next run begins anew", now)
            }
        };
        Ok(changed)
    })
    .await;
    match amended {
        Ok(_) => Ok(changed),
        // Somebody else settled it, or took it over.
        Err(e) if e.kind() == ErrorKind::Conflict => Ok(false),
        Err(e) => Err(e),
    }
}

/// The record of a backup, as it is now.
///
/// # Errors
/// `NotFound`; those of the catalog.
pub async fn record(catalog: &dyn Catalog, id: SnapshotId) -> Result<SnapshotRecord> {
    let found: Option<Versioned<SnapshotRecord>> = catalog.get(id).await?;
    found.map(|v| v.value).ok_or_else(|| Error::not_found(format!("there is no backup {id}")))
}

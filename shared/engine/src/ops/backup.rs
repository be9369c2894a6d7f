//! Makes one snapshot in the primary vault.
//!
//! Order of writes, which makes the inventory the commit point: packs, schema, manifest, inventory, catalog. Whatever is
//! stored before the inventory belongs to nobody until it is there. Always holds: one attempt, one transaction snapshot,
//! one data key a purpose. It never deletes, and opens no rows.
//!
//! Going on after an interruption is no case of its own: an attempt that is out of time, or dies, leaves checkpoints, and the
//! next one uses what they list under the same conditions as what the last snapshot lists.

mod attempt;
mod blobs;
mod earlier;
mod treatment;
mod progress;
mod reading;
mod recheck;
mod repack;
mod request;

pub use request::{Asked, cancel, pin, request};

use crate::catalog::{self, AttemptRecord, CANCELLED, Catalog, Lease, Phase, Progress, SnapshotRecord, Status};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::contents;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{AttemptId, SnapshotId};
use crate::inventory;
use crate::keyring::Keyring;
use crate::layout::ObjectKey;
use crate::limits::{DEADLINE_MARGIN_MAX_S, DEADLINE_MARGIN_MIN_S, LEASE_RENEW_S, LEASE_TTL_S, PROGRESS_MS};
use crate::policy::Policies;
use crate::queue::{BackupOrder, Queue};
use crate::source::Source;
use crate::storage::Storage;
use crate::vault::Vaults;
use attempt::{Attempt, Committed, Ended};
use progress::Counters;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::Instrument;

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
    /// Whether segments of earlier backups may be used again.
    pub incremental: bool,
    /// A segment is read again when it was not read for so many days; never for that reason without.
    pub full_every_days: Option<u32>,
    /// What the owner says of each kind of data.
    pub policies: Arc<Policies>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    /// What is asked for.
    pub order: BackupOrder,
    /// When the function will be stopped, if that is known.
    pub deadline: Option<Timestamp>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum BackupOutcome {
    /// The snapshot is whole in the primary vault. Its record as it was then.
    Committed(Box<SnapshotRecord>),
    /// The time was up; another invocation goes on. The record as it was then.
    HandedOver(Box<SnapshotRecord>),
    /// Nothing was begun: another backup of the source runs, or this one needs nothing more. Says which.
    Busy(String),
    /// A person stopped it. The record as it was then.
    Cancelled(Box<SnapshotRecord>),
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
    /// The objects of the project's Storage; without it they are not backed up, and the coverage says so.
    pub storage: Option<Arc<dyn Storage>>,
    /// Where the rest of a backup is put that does not fit into one invocation; without one it fails then.
    pub queue: Option<Arc<dyn Queue<BackupOrder>>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How.
    pub settings: BackupSettings,
}

impl Backup {
    /// Makes a snapshot. Its record ends in `in_progress` (replicating, or handed over) or `failed`, whatever happens.
    ///
    /// # Errors
    /// Why there is none. The record says the same.
    pub async fn run(&self, request: BackupRequest) -> Result<BackupOutcome> {
        let asked = request.order.backup_id;
        let id = match asked {
            Some(id) => id,
            None => SnapshotId::new(&*self.clock, &*self.entropy)?,
        };
        let now = self.clock.now();
        let lease =
            match self.catalog.acquire(&self.settings.source, &id.to_string(), now, now.plus_s(LEASE_TTL_S)).await {
                Ok(lease) => lease,
                Err(e) if e.kind() == ErrorKind::Conflict => {
                    if asked.is_some() {
                        self.wait_for_turn(id, &request.order, &e).await?;
                    }
                    return Ok(BackupOutcome::Busy(e.to_string()));
                }
                Err(e) => return Err(e.context("take the lease of the source")),
            };
        // Every line that follows says which backup it is about.
        let span = tracing::info_span!("backup", backup = %id);
        let result = self.run_leased(id, request, &lease).instrument(span).await;
        // Whoever goes on, or works on it already, finds the lease its own. One that cannot be given back expires by itself.
        let stays = match &result {
            Ok(BackupOutcome::HandedOver(_)) => true,
            Ok(BackupOutcome::Busy(_)) => {
                record(&*self.catalog, id).await.is_ok_and(|record| record.is_worked_on(self.clock.now()))
            }
            _ => false,
        };
        if !stays && let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(backup = %id, error = %e, "could not give the lease back");
        }
        result
    }

    async fn run_leased(&self, id: SnapshotId, request: BackupRequest, lease: &Lease) -> Result<BackupOutcome> {
        let held = Some((self.settings.source.as_str(), lease.epoch));
        settle_abandoned(&*self.catalog, &self.vaults, &*self.clock, held, Some(id)).await?;
        let attempt = AttemptRecord { id: AttemptId::new(&*self.clock, &*self.entropy)?, epoch: lease.epoch };
        let record = match self.begin(id, &request.order, attempt).await {
            Ok(record) => record,
            Err(e) if e.kind() == ErrorKind::Conflict => return Ok(BackupOutcome::Busy(e.to_string())),
            Err(e) => return Err(e),
        };
        let counters = Arc::new(Counters::default());
        let (stopper, stop) = watch::channel(false);
        let made = {
            let attempt = Attempt { record: &record, id: attempt.id, lease, counters: Arc::clone(&counters), stop };
            let work = self.attempt(&attempt);
            let beat = self.heartbeat(id, attempt.id, lease, &counters, request.deadline, &stopper);
            tokio::pin!(work);
            tokio::pin!(beat);
            tokio::select! {
                made = &mut work => made,
                stopped = &mut beat => stopped,
            }
        };
        let made = match made {
            Ok(Ended::Cancelled) => {
                let now = self.clock.now();
                let stop = |record: &mut SnapshotRecord| {
                    Ok(record.attempt.is_some_and(|a| a.id == attempt.id) && record.abandon(CANCELLED, now))
                };
                let record = catalog::amend(&*self.catalog, id, stop).await?;
                return Ok(BackupOutcome::Cancelled(Box::new(record)));
            }
            Ok(Ended::Committed(committed)) => {
                let progress = counters.progress().1;
                return self
                    .commit(id, attempt.id, *committed, progress)
                    .await
                    .map(|r| BackupOutcome::Committed(Box::new(r)));
            }
            Ok(Ended::OutOfTime) => {
                self.hand_over(&record, attempt.id, &counters).await.map(|r| BackupOutcome::HandedOver(Box::new(r)))
            }
            Err(e) => Err(e),
        };
        if let Err(e) = &made {
            self.give_up(id, attempt.id, e).await;
        }
        made
    }

    async fn begin(&self, id: SnapshotId, order: &BackupOrder, attempt: AttemptRecord) -> Result<SnapshotRecord> {
        let places: Vec<_> = self.vaults.all().iter().map(|v| v.place().clone()).collect();
        let now = self.clock.now();
        let mut record = SnapshotRecord::pending(id, self.settings.source.clone(), order.trigger, now, &places);
        record.part.clone_from(&order.source);
        // In one write: a record that no attempt owns would be nobody's to settle.
        record.begin(attempt, now)?;
        match catalog::insert(&*self.catalog, &record).await {
            Ok(()) => return Ok(record),
            // The record that was made when the backup was asked for, or by the invocation that handed it over.
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(e.context("write the backup's record")),
        }
        self.settle_half_committed(id).await?;
        catalog::amend(&*self.catalog, id, |record| {
            if record.hand_overs.count != order.hand_overs {
                return Err(Error::conflict(format!("backup {id} was handed over again since this was asked for")));
            }
            if record.cancelled.is_some() {
                return Ok(record.abandon(CANCELLED, now));
            }
            record.begin(attempt, now).map(|()| true)
        })
        .await
        .and_then(|record| match record.cancelled {
            Some(_) => Err(Error::conflict(format!("backup {id} was cancelled before it began"))),
            None => Ok(record),
        })
    }

    /// An attempt that stopped while it committed has written objects whose names only one attempt can use. What it stored
    /// is not lost: the next backup uses it.
    async fn settle_half_committed(&self, id: SnapshotId) -> Result<()> {
        let key = ObjectKey::Schema(id);
        let primary = self.vaults.primary();
        if primary.head(&key).await.context(format!("look at {key} in the {}", primary.place()))?.is_none() {
            return Ok(());
        }
        if let Some(attempt) = record(&*self.catalog, id).await?.attempt {
            settle(&*self.catalog, &self.vaults, id, attempt, self.clock.now()).await?;
        }
        Err(Error::conflict(format!("an earlier invocation had begun to commit backup {id}")))
    }

    /// Leaves the rest to another invocation.
    async fn hand_over(
        &self,
        record: &SnapshotRecord,
        attempt: AttemptId,
        counters: &Counters,
    ) -> Result<SnapshotRecord> {
        let now = self.clock.now();
        let seconds = now.since(record.heartbeat_at.max(record.started_at)) / 1_000;
        let Some(queue) = &self.queue else {
            return Err(counters.out_of_time(
                seconds,
                "no queue is configured to hand over to, so the next backup goes on from what is stored",
            ));
        };
        let (done, total) = counters.disk_bytes();
        let record = catalog::amend(&*self.catalog, record.id, |record| {
            record.hand_over(attempt, done, total, now).map(|()| true)
        })
        .await?;
        let order = BackupOrder {
            trigger: record.trigger,
            backup_id: Some(record.id),
            source: record.part.clone(),
            hand_overs: record.hand_overs.count,
        };
        queue.send(&order, 0).await.context("hand over to another invocation")?;
        tracing::info!(backup = %record.id, hand_overs = order.hand_overs, done, total, "handed over");
        Ok(record)
    }

    async fn commit(
        &self,
        id: SnapshotId,
        attempt: AttemptId,
        made: Committed,
        progress: Progress,
    ) -> Result<SnapshotRecord> {
        if let Err(e) = contents::keep(&*self.catalog, &made.contents).await {
            // `verify` makes up for it.
            tracing::warn!(backup = %id, error = %e, "could not keep what is inside");
        }
        let now = self.clock.now();
        catalog::amend(&*self.catalog, id, |record| {
            record.full_reason.clone_from(&made.full_reason);
            record.progress.bytes_stored = progress.bytes_stored;
            record.progress.segments = progress.segments;
            record.progress.blobs = progress.blobs;
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

    /// Tells how far it is, keeps the lease, and watches the deadline and whether it was cancelled. Comes back only with the reason
    /// to stop.
    async fn heartbeat(
        &self,
        id: SnapshotId,
        attempt: AttemptId,
        lease: &Lease,
        counters: &Counters,
        deadline: Option<Timestamp>,
        stopper: &watch::Sender<bool>,
    ) -> Result<Ended> {
        let started = self.clock.now();
        // It stops in time to store what it has; if even that does not end, it ends without.
        let margin = deadline.map_or(0, |d| d.since(started) / 10_000);
        let margin = margin.clamp(DEADLINE_MARGIN_MIN_S, DEADLINE_MARGIN_MAX_S) * 1_000;
        let (mut renewed, mut told, mut misses) = (started, None, 0u32);
        loop {
            self.clock.sleep(Duration::from_millis(PROGRESS_MS)).await;
            let now = self.clock.now();
            let left = deadline.map(|d| d.since(now));
            if left.is_some_and(|left| left <= margin) {
                stopper.send_replace(true);
            }
            if left.is_some_and(|left| left <= margin / 5) {
                let then = "what it read could not be stored in time; give the function more time or memory";
                return Err(counters.out_of_time(now.since(started) / 1_000, then));
            }
            if now.since(renewed) >= LEASE_RENEW_S * 1_000 {
                match self.catalog.renew(lease, now.plus_s(LEASE_TTL_S)).await {
                    Ok(_) => renewed = now,
                    Err(e)
                        if e.kind() == ErrorKind::Conflict
                            || now.since(renewed) >= (LEASE_TTL_S - LEASE_RENEW_S) * 1_000 =>
                    {
                        return Err(e.context("keep the lease of the source"));
                    }
                    Err(e) => tracing::warn!(backup = %id, error = %e, "could not renew the lease; trying again"),
                }
            }
            let (phase, progress) = counters.progress();
            let news = told != Some((phase, progress)) || now.since(renewed) == 0;
            let tell = |r: &mut SnapshotRecord| match news {
                true => r.advance(attempt, phase, progress, now).map(|()| true),
                // Only to see whether it was cancelled.
                false => Ok(false),
            };
            match catalog::amend(&*self.catalog, id, tell).await {
                // Asked now: it may have begun to commit meanwhile.
                Ok(record) if record.cancelled.is_some() && counters.progress().0 != Phase::Committing => {
                    return Ok(Ended::Cancelled);
                }
                Ok(_) => (told, misses) = (Some((phase, progress)), 0),
                Err(e) if e.kind() == ErrorKind::Conflict => {
                    return Err(e.context("tell how far the backup is"));
                }
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
/// primary vault was committed; any other failed. The caller's `own` is left alone. Gives the ids that it settled.
///
/// # Errors
/// Those of the catalog and the vault.
pub async fn settle_abandoned(
    catalog: &dyn Catalog,
    vaults: &Vaults,
    clock: &dyn Clock,
    held: Option<(&str, u64)>,
    own: Option<SnapshotId>,
) -> Result<Vec<SnapshotId>> {
    let (mut before, mut settled) = (None, Vec::new());
    loop {
        let page = catalog::list::<SnapshotRecord>(catalog, before, 100).await.context("list the backups' records")?;
        for record in &page.records {
            let now = clock.now();
            if Some(record.id) == own {
                continue;
            }
            let Some(attempt) = record.attempt else {
                if request::give_up_lost(catalog, record, now).await? {
                    settled.push(record.id);
                }
                continue;
            };
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
            None => record
                .abandon("the function that made this backup stopped without a word; the next run begins anew", now),
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
    let found = catalog::get(catalog, id).await?;
    found.map(|v| v.value).ok_or_else(|| Error::not_found(format!("there is no backup {id}")))
}

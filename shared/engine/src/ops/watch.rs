//! Says how everything is: the numbers that alarms watch, so that what did *not* happen is noticed too.
//!
//! Always holds: it reads the catalog, asks the key services whether they would work, lists what the vaults hold once a day, gives
//! up restores whose orders were lost, and opens nothing. An alarm is raised where its numbers fail to come, so that its own death is noticed as well.

mod history;
mod protection;
mod usage;

pub use history::{History, Run, RunOutcome, history};
pub use protection::{LastDrill, LastGood, Protection, RegionState, Targets, Verdict, protection};
use usage::Attribution;
pub use usage::{Prices, SnapshotUsage, UsageRecord, VaultUsage};

use crate::catalog::{self, Catalog, ReplicaState, SnapshotRecord, Status};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::UsageId;
use crate::inventory::{self, Inventory};
use crate::keyring::{KeyService, SecondKey};
use crate::layout::ROOT;
use crate::limits::{LOOKS_IN_FLIGHT, RECORDS_KEPT_S, STALLED_S, USAGE_EVERY_S, USAGE_GROWTH_RECORDS, WATCH_RECORDS};
use crate::ops::drill::{DrillOutcome, DrillRecord};
use crate::ops::prune::{self, PruneOutcome, PruneRecord};
use crate::ops::restore;
use crate::ops::verify::{VerificationRecord, VerifyOutcome};
use crate::queue::EVERYTHING;
use crate::vault::Vaults;
use crate::versions::{Versions, list_all};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use std::sync::Arc;

/// The operation and its ports.
pub struct Watch {
    /// The three vaults.
    pub vaults: Vaults,
    /// What they hold, in the same order.
    pub versions: [Arc<dyn Versions>; 3],
    /// The key in the region of each.
    pub keys: [Arc<dyn KeyService>; 3],
    /// The second key, if there is one: without it nothing is sealed either.
    pub second: Option<Arc<dyn SecondKey>>,
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What storage costs.
    pub prices: Prices,
}

/// How everything is. Ages are in hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vitals {
    /// Since the instant that the newest whole backup shows; none while there is no backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_backup_age: Option<f64>,
    /// Since the last drill that passed, or else since the first backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_drill_age: Option<f64>,
    /// Since the last verification that came to its end, or else since the first backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verification_age: Option<f64>,
    /// Since the last run of `prune` that came to its end, or else since the first backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_prune_age: Option<f64>,
    /// How long the oldest backup waits that is whole in the primary vault and not yet in the others; 0 when none does.
    pub replication_lag: f64,
    /// Backups that say that they run, and of which nothing was heard for a while.
    pub stalled_backups: u64,
    /// Copies of backups in which a restore would fail.
    pub damaged_copies: u64,
    /// Hours of the rotation whose share of the data is due to be read, and was not.
    pub verification_behind: u64,
    /// Regions in which the key would not work, or could not be asked.
    pub keys_unusable: u64,
    /// Bytes in the primary vault, as counted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
}

/// What was seen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// How everything is.
    pub vitals: Vitals,
    /// What is wrong with keys, in sentences.
    pub keys: Vec<String>,
    /// What the backups take, if it was counted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageRecord>,
    /// Why it could not be counted.
    #[serde(skip)]
    pub not_counted: Option<Error>,
}

impl Watch {
    /// Looks.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn run(&self) -> Result<Watched> {
        let now = self.clock.now();
        restore::give_up_lost(&*self.catalog, now).await.context("give up restores that nobody goes on with")?;
        prune::give_up_lost(&*self.catalog, now).await.context("give up cleanups that nobody goes on with")?;
        let records = catalog::all::<SnapshotRecord>(&*self.catalog).await?;
        let mut vitals = of_backups(&records, now);
        let first = records.iter().map(|r| r.started_at).min();
        let since = |at: Option<Timestamp>| at.or(first).map(|at| hours(at, now));
        let drills = catalog::newest::<DrillRecord>(&*self.catalog, WATCH_RECORDS, |_| true).await?;
        let drills = drills.iter().filter(|d| d.outcome == DrillOutcome::Passed);
        vitals.last_drill_age = since(drills.filter_map(|d| d.completed_at).max());
        let verifications = catalog::newest::<VerificationRecord>(&*self.catalog, WATCH_RECORDS, |_| true).await?;
        vitals.verification_behind = verifications.first().map_or(0, |v| v.hours_behind);
        let done = verifications.iter().filter(|v| v.outcome == VerifyOutcome::Done);
        vitals.last_verification_age = since(done.filter_map(|v| v.completed_at).max());
        let prunes = catalog::newest::<PruneRecord>(&*self.catalog, WATCH_RECORDS, |_| true).await?;
        let done = prunes.iter().filter(|p| p.outcome == PruneOutcome::Done && !p.dry_run);
        vitals.last_prune_age = since(done.filter_map(|p| p.completed_at).max());

        let mut keys = Vec::new();
        for (key, vault) in self.keys.iter().zip(self.vaults.all()) {
            if let Err(e) = key.check().await {
                keys.push(format!("{}: {e}", vault.place().region));
            }
        }
        if let Some(second) = &self.second
            && let Err(e) = second.check().await
        {
            keys.push(format!("the second key: {e}"));
        }
        vitals.keys_unusable = keys.len() as u64;

        let earlier = catalog::newest::<UsageRecord>(&*self.catalog, USAGE_GROWTH_RECORDS, |_| true).await?;
        let is_due = earlier.first().is_none_or(|last| last.at.plus_s(USAGE_EVERY_S) <= now);
        // A vault that does not answer keeps no other number back.
        let (usage, not_counted) = match is_due {
            false => (None, None),
            true => match self.count(&earlier, now).await {
                Ok(usage) => (Some(usage), None),
                Err(e) => (None, Some(e)),
            },
        };
        let last = usage.as_ref().or(earlier.first());
        vitals.stored_bytes = last.and_then(|usage| usage.vaults.first()).map(|vault| vault.bytes);
        Ok(Watched { vitals, keys, usage, not_counted })
    }

    /// Counts what the vaults hold, and keeps that.
    async fn count(&self, earlier: &[UsageRecord], now: Timestamp) -> Result<UsageRecord> {
        let mut vaults = Vec::new();
        for versions in &self.versions {
            let listed = list_all(&**versions, ROOT).await?;
            let bytes = listed.iter().map(|v| v.length).sum();
            let place = versions.place().clone();
            let usd_a_month = self.prices.storage(&place.region, bytes);
            vaults.push(VaultUsage { place, objects: listed.len() as u64, bytes, usd_a_month });
        }
        let primary = self.vaults.primary();
        let reads = stream::iter(inventory::list(&**primary).await?).map(|id| async move {
            match inventory::read(&**primary, id).await {
                Ok((inventory, _)) => Ok(Some(inventory)),
                // It expired meanwhile, or `verify` will say what is wrong with it.
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                    Ok(None)
                }
                Err(e) => Err(e),
            }
        });
        let mut reads = reads.buffered(LOOKS_IN_FLIGHT);
        let mut attribution = Attribution::default();
        while let Some(inventory) = reads.try_next().await? {
            inventory.iter().for_each(|inventory: &Inventory| attribution.add(inventory));
        }
        let mut usage = UsageRecord {
            id: UsageId::new(&*self.clock, &*self.entropy)?,
            at: now,
            vaults,
            backups: attribution.finish(),
            growth_bytes_a_day: None,
            forecast_bytes: None,
            prices_of: self.prices.date.clone(),
        };
        if let Some(earlier) = earlier.last() {
            usage.note_growth(earlier);
        }
        catalog::insert(&*self.catalog, &usage).await.context("record what the backups take")?;
        catalog::forget(&*self.catalog, |r: &UsageRecord| r.at.plus_s(RECORDS_KEPT_S) <= now).await?;
        Ok(usage)
    }
}

/// What the records of backups tell. Pure.
fn of_backups(records: &[SnapshotRecord], now: Timestamp) -> Vitals {
    let live = || records.iter().filter(|r| r.expired_at.is_none());
    let completed = live().filter(|r| r.status == Status::Completed && of_whole_source(r));
    let taken = completed.filter_map(|r| r.summary.as_ref()).map(|s| s.taken_at).max();
    let waiting = live().filter(|r| !r.is_settled() && r.summary.is_some());
    // One that was sealed again, or found in a vault, is in the primary for less long than it is old.
    let whole_since = |r: &SnapshotRecord| r.replicas.first().and_then(|p| p.completed_at).unwrap_or(r.started_at);
    let lag = waiting.map(|r| hours(whole_since(r), now)).fold(0.0, f64::max);
    let silent = live().filter(|r| !r.is_settled() && r.heartbeat_at.plus_s(STALLED_S) <= now);
    let damaged = live().flat_map(|r| &r.replicas).filter(|r| r.state == ReplicaState::Damaged);
    Vitals {
        newest_backup_age: taken.map(|at| hours(at, now)),
        replication_lag: lag,
        stalled_backups: silent.count() as u64,
        damaged_copies: damaged.count() as u64,
        ..Vitals::default()
    }
}

/// A backup of a part leaves the rest as old as it was.
fn of_whole_source(record: &SnapshotRecord) -> bool {
    record.part.as_ref().is_none_or(|part| *part == record.source || part == EVERYTHING)
}

fn hours(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).max(0) as f64 / 3_600_000.0
}

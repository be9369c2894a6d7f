//! Lets snapshots expire by the policy, and deletes what no snapshot needs any more.
//!
//! In this order: all vaults are listed and every inventory is read, or nothing is done at all; the plan is recorded; snapshots
//! that expire are marked in the catalog, then their inventories are deleted, the primary's last; what nothing references is
//! marked; what was marked a grace period ago, and is unreferenced still, is deleted by version, the primary's last; the locks
//! of what is kept are extended.
//!
//! Always holds: nothing that any inventory in any vault names is deleted, whichever vault it is in; nothing of an attempt that
//! may be running, and nothing that the store took less than a grace period ago; a lock is "not yet", and no error. It opens
//! nothing that is sealed, and needs no key.

mod candidates;
mod locks;
mod marks;
mod record;
mod request;
mod survey;
mod sweep;

pub use marks::Marks;
pub use record::{Expired, PruneOutcome, PruneRecord, VaultTally, give_up_lost};
pub use request::{forecast, record, request};

use crate::catalog::{self, Catalog};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::contents::ContentsId;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::PruneId;
use crate::limits::{DEADLINE_MARGIN_MAX_S, EXPIRE_MAX, PRUNE_LEASE_S};
use crate::retention::{Decision, RetentionPolicy, plan};
use crate::vault::Vaults;
use crate::versions::Versions;
use std::sync::Arc;
use survey::Survey;

/// The name of the lease.
const LEASE: &str = "prune";

/// The operation and its ports.
pub struct Prune {
    /// The three vaults.
    pub vaults: Vaults,
    /// What they hold, in the same order.
    pub versions: [Arc<dyn Versions>; 3],
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How long snapshots are kept.
    pub policy: RetentionPolicy,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PruneRequest {
    /// The run that a person asked for; a new one without.
    pub run: Option<PruneId>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// When the function will be stopped, if that is known.
    pub deadline: Option<Timestamp>,
}

/// What would be done, or was.
#[derive(Debug)]
pub struct Pruned {
    /// The run.
    pub record: PruneRecord,
    /// What becomes of each snapshot, and why.
    pub decisions: Vec<Decision>,
}

impl Prune {
    /// Prunes.
    ///
    /// # Errors
    /// `Conflict` when another run is under way. When anything cannot be listed or read, or the vaults and the catalog do not
    /// agree on what there is: nothing is deleted then, and the message says what is wrong.
    pub async fn run(&self, request: PruneRequest) -> Result<Pruned> {
        let id = match request.run {
            Some(id) => id,
            None => PruneId::new(&*self.clock, &*self.entropy)?,
        };
        if request.dry_run {
            return self.run_leased(id, request).await;
        }
        let now = self.clock.now();
        let mut is_begun = false;
        if request.run.is_some() {
            let asked = request::record(&*self.catalog, id).await?;
            // The order came twice.
            if asked.is_over() {
                return Ok(Pruned { record: asked, decisions: Vec::new() });
            }
            is_begun = asked.outcome != PruneOutcome::Asked;
        }
        let until = request.deadline.unwrap_or_else(|| now.plus_s(PRUNE_LEASE_S));
        // An order that comes twice is another holder: only one of them acts.
        let holder = format!("{id}/{}", PruneId::new(&*self.clock, &*self.entropy)?);
        let lease = self.catalog.acquire(LEASE, &holder, now, until).await.context("take the lease to prune");
        let lease = match lease {
            Ok(lease) => lease,
            // Of one that has begun, whoever is at work may be this very run.
            Err(e) if e.kind() == ErrorKind::Conflict && !is_begun => {
                return Err(self.note_stopped(request, id, e).await);
            }
            Err(e) => return Err(e),
        };
        let result = match self.run_leased(id, request).await {
            Ok(pruned) => Ok(pruned),
            // It comes again.
            Err(e) if e.kind() == ErrorKind::Unavailable => Err(e),
            Err(e) => Err(self.note_stopped(request, id, e).await),
        };
        if let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(error = %e, "could not give the lease back; it expires by itself");
        }
        result
    }

    async fn run_leased(&self, id: PruneId, request: PruneRequest) -> Result<Pruned> {
        let now = self.clock.now();
        let mut survey = Survey::take(self).await?;
        let decisions = plan(&survey.candidates(), &self.policy, now);
        let mut record = PruneRecord::new(id, now, request.dry_run, self.policy, &decisions, self.versions.as_slice());
        let reference = survey.reference(now);
        record.vaults.iter_mut().zip(&survey.vaults).for_each(|(tally, objects)| tally.note_objects(objects));
        if request.dry_run {
            for (place, tally) in record.vaults.iter_mut().enumerate() {
                let marks = self.marks(place).await?.value.renew(&survey.garbage(place, reference), reference);
                tally.note_marks(&marks, &survey.vaults[place]);
            }
            record.outcome = PruneOutcome::Planned;
            return Ok(Pruned { record, decisions });
        }
        let revision = self.keep_plan(&mut record, request).await.context("record the plan of this run")?;
        let acted = self.act(&mut survey, &decisions, &mut record, reference, request.deadline).await;
        record.completed_at = Some(self.clock.now());
        match &acted {
            Ok(()) => {}
            Err(e) => {
                record.outcome = PruneOutcome::Failed;
                record.error = Some(e.to_string());
            }
        }
        let written = catalog::replace(&*self.catalog, &record, revision).await.context("record what was pruned");
        acted.and(written).map(|()| Pruned { record, decisions })
    }

    /// Keeps the plan, in the record that a person made if one did. Gives its revision.
    async fn keep_plan(&self, record: &mut PruneRecord, request: PruneRequest) -> Result<u64> {
        if request.run.is_none() {
            catalog::insert(&*self.catalog, record).await?;
            return Ok(1);
        }
        let asked = catalog::get(&*self.catalog, record.id).await?;
        let asked = asked.ok_or_else(|| Error::not_found(format!("there is no cleanup {}", record.id)))?;
        (record.started_at, record.requested_by) = (asked.value.started_at, asked.value.requested_by);
        catalog::replace(&*self.catalog, record, asked.revision).await?;
        Ok(asked.revision + 1)
    }

    /// Tells the person who asked for a run why it did not come to its end.
    async fn note_stopped(&self, request: PruneRequest, id: PruneId, error: Error) -> Error {
        if request.run.is_some() {
            let now = self.clock.now();
            let note = |record: &mut PruneRecord| {
                let open = !record.is_over();
                if open {
                    (record.outcome, record.completed_at) = (PruneOutcome::Failed, Some(now));
                    record.error = Some(error.to_string());
                }
                Ok(open)
            };
            if let Err(e) = catalog::amend(&*self.catalog, id, note).await {
                tracing::warn!(run = %id, error = %e, "could not tell that it stopped");
            }
        }
        error
    }

    async fn act(
        &self,
        survey: &mut Survey,
        decisions: &[Decision],
        record: &mut PruneRecord,
        reference: Timestamp,
        deadline: Option<Timestamp>,
    ) -> Result<()> {
        let now = self.clock.now();
        self.expire(survey, decisions, record).await?;
        let mut ripe = Vec::new();
        for place in 0..self.versions.len() {
            let marks = self.mark(place, &survey.garbage(place, reference), reference).await?;
            record.vaults[place].note_marks(&marks, &survey.vaults[place]);
            ripe.push(marks.ripe(reference));
        }
        // Locks come before deletions: what is kept matters more than what goes.
        let in_time = self.extend_locks(survey, decisions, record, now, deadline).await?
            && self.sweep(survey, &ripe, record, deadline).await?;
        self.forget_old_records(survey, now).await?;
        record.outcome = if in_time { PruneOutcome::Done } else { PruneOutcome::OutOfTime };
        Ok(())
    }

    /// First the catalog says that a snapshot is gone, so that nobody makes it whole again; then its inventories go.
    async fn expire(&self, survey: &mut Survey, decisions: &[Decision], record: &mut PruneRecord) -> Result<()> {
        for decision in decisions.iter().filter(|d| d.expires()).take(EXPIRE_MAX) {
            let now = self.clock.now();
            match catalog::amend(&*self.catalog, decision.id, |r| r.expire(now)).await {
                Ok(expired) => {
                    record.expired.push(Expired::of(decision));
                    survey.records.insert(decision.id, expired);
                }
                // Of a generation that was superseded before the catalog was lost there is no record, and nothing makes it whole again.
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    record.expired.push(Expired::of(decision));
                    self.remove_inventories(survey, decision.id, record).await?;
                }
                // It was pinned since.
                Err(e) if e.kind() == ErrorKind::Conflict => {
                    tracing::info!(backup = %decision.id, why = %e, "an expiry was given up");
                }
                Err(e) => return Err(e),
            }
        }
        let expired: Vec<_> = survey.expired().collect();
        for id in expired {
            self.remove_inventories(survey, id, record).await?;
        }
        Ok(())
    }

    /// Records of backups that are long gone, and of runs that are long over.
    async fn forget_old_records(&self, survey: &Survey, now: Timestamp) -> Result<()> {
        for id in survey.forgotten(now) {
            if let Some(found) = catalog::get(&*self.catalog, id).await? {
                catalog::remove(&*self.catalog, id, found.revision)
                    .await
                    .context("forget a backup that is long gone")?;
            }
            if let Some(found) = catalog::get(&*self.catalog, ContentsId(id)).await? {
                let removed = catalog::remove(&*self.catalog, ContentsId(id), found.revision).await;
                removed.context("forget what was inside it")?;
            }
        }
        record::forget_requests(&*self.catalog, now).await?;
        record::forget_holds(&*self.catalog, now).await?;
        record::forget_old(&*self.catalog, now).await
    }

    /// Whether there is no time left.
    fn is_out_of_time(&self, deadline: Option<Timestamp>) -> bool {
        deadline.is_some_and(|d| d.since(self.clock.now()) <= DEADLINE_MARGIN_MAX_S * 1_000)
    }
}

fn disagreement(problems: &[String]) -> Error {
    let (first, others) = (&problems[0], problems.len() - 1);
    let others = if others == 0 { String::new() } else { format!(" (and {others} more of the kind)") };
    Error::invalid(format!("nothing was deleted: {first}{others}"))
}

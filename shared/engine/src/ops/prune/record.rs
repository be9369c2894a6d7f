//! What a run of `prune` decided and did, as the catalog keeps it; and the restores that hold snapshots.

use super::marks::Marks;
use super::survey::Objects;
use crate::audit::AuditEntry;
use crate::catalog::{self, Catalog, Collection, Record, RecordId};
use crate::claim::Claim;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{PruneId, SnapshotId};
use crate::limits::{CLAIM_KEPT_S, ORDER_LOST_S, PAGE_MAX, PRUNE_LOST_S, RECORDS_KEPT_S};
use crate::ops::restore::{Hold, RestoreRecord};
use crate::quota;
use crate::retention::{Decision, Reason, RetentionPolicy};
use crate::vault::VaultPlace;
use crate::versions::Versions;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PruneOutcome {
    /// A person asked for the run, and it did not begin.
    Asked,
    /// Only the plan was asked for, or the run is under way, or was stopped without a word.
    Planned,
    /// Everything was done that could be done.
    Done,
    /// The time was up; the next run goes on.
    OutOfTime,
    /// It stopped at an error.
    Failed,
}

/// A snapshot that expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expired {
    /// Its id.
    pub id: SnapshotId,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// When the days of the policy were over.
    pub days_end_at: Timestamp,
}

impl Expired {
    pub(super) fn of(decision: &Decision) -> Self {
        Self { id: decision.id, taken_at: decision.taken_at, days_end_at: decision.days_end_at }
    }
}

/// What was found and done in one vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultTally {
    /// Where.
    #[serde(flatten)]
    pub place: VaultPlace,
    /// Objects that it holds, all versions.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those, what nothing needs; it is deleted a grace period after it was first seen to be so.
    pub marked_objects: u64,
    /// Their bytes.
    pub marked_bytes: u64,
    /// What was deleted.
    pub removed_objects: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// What would have been deleted, and is locked: not yet.
    pub locked_objects: u64,
    /// Objects whose lock was extended.
    pub locks_extended: u64,
}

impl VaultTally {
    pub(super) fn note_objects(&mut self, objects: &Objects) {
        self.objects = objects.values().flatten().count() as u64;
        self.bytes = objects.values().flatten().map(|v| v.length).sum();
    }

    pub(super) fn note_marks(&mut self, marks: &Marks, objects: &Objects) {
        let marked = marks.objects();
        self.marked_objects = marked.len() as u64;
        let versions = marked.keys().filter_map(|key| objects.get(key)).flatten();
        self.marked_bytes = versions.map(|v| v.length).sum();
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneRecord {
    /// Its id.
    pub id: PruneId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub completed_at: Option<Timestamp>,
    /// The id of the person who asked for it, if one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub requested_by: Option<String>,
    /// Whether only the plan was asked for.
    pub dry_run: bool,
    /// How it ended.
    pub outcome: PruneOutcome,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// The policy that it went by.
    pub policy: RetentionPolicy,
    /// Snapshots that there were.
    pub snapshots: u64,
    /// How many of them each rule keeps; one may be kept by many.
    pub kept_by: BTreeMap<Reason, u64>,
    /// How many the policy lets go.
    pub to_expire: u64,
    /// Those that it let go in this run.
    pub expired: Vec<Expired>,
    /// The vaults, primary first.
    pub vaults: Vec<VaultTally>,
}

impl Record for PruneRecord {
    const COLLECTION: Collection = Collection::Prunes;
    type Id = PruneId;

    fn id(&self) -> PruneId {
        self.id
    }
}

impl RecordId for PruneId {
    type Record = PruneRecord;
}

impl PruneRecord {
    /// Of a run that a person asks for.
    pub(super) fn asked(id: PruneId, now: Timestamp, policy: RetentionPolicy, by: &str) -> Self {
        let (outcome, requested_by) = (PruneOutcome::Asked, Some(by.to_owned()));
        Self { outcome, requested_by, ..Self::new(id, now, false, policy, &[], &[]) }
    }

    /// Whether nothing more will be done by this run.
    pub fn is_over(&self) -> bool {
        self.completed_at.is_some() || (self.dry_run && self.outcome == PruneOutcome::Planned)
    }

    pub(super) fn new(
        id: PruneId,
        now: Timestamp,
        dry_run: bool,
        policy: RetentionPolicy,
        decisions: &[Decision],
        vaults: &[Arc<dyn Versions>],
    ) -> Self {
        let mut kept_by = BTreeMap::new();
        for reason in decisions.iter().flat_map(|d| &d.kept_by) {
            *kept_by.entry(*reason).or_default() += 1;
        }
        let tally = |vault: &Arc<dyn Versions>| VaultTally {
            place: vault.place().clone(),
            objects: 0,
            bytes: 0,
            marked_objects: 0,
            marked_bytes: 0,
            removed_objects: 0,
            removed_bytes: 0,
            locked_objects: 0,
            locks_extended: 0,
        };
        Self {
            id,
            started_at: now,
            completed_at: None,
            requested_by: None,
            dry_run,
            outcome: PruneOutcome::Planned,
            error: None,
            policy,
            snapshots: decisions.len() as u64,
            kept_by,
            to_expire: decisions.iter().filter(|d| d.expires()).count() as u64,
            expired: Vec::new(),
            vaults: vaults.iter().map(tally).collect(),
        }
    }
}

/// Forgets runs that are long over.
pub(super) async fn forget_old(catalog: &dyn Catalog, now: Timestamp) -> Result<()> {
    catalog::forget(catalog, |run: &PruneRecord| run.started_at.plus_s(RECORDS_KEPT_S) <= now).await
}

/// Forgets what people asked for and was answered long ago: idempotency keys after a day, restores and the audit with the records
/// of backups.
pub(super) async fn forget_requests(catalog: &dyn Catalog, now: Timestamp) -> Result<()> {
    catalog::forget(catalog, |claim: &Claim| claim.at.plus_s(CLAIM_KEPT_S) <= now).await?;
    quota::forget_old(catalog, now).await?;
    let is_over = |r: &RestoreRecord| r.is_settled() && r.started_at.plus_s(RECORDS_KEPT_S) <= now;
    catalog::forget(catalog, is_over).await?;
    catalog::forget(catalog, |entry: &AuditEntry| entry.at.plus_s(RECORDS_KEPT_S) <= now).await
}

/// Forgets holds that are over.
pub(super) async fn forget_holds(catalog: &dyn Catalog, now: Timestamp) -> Result<()> {
    catalog::forget(catalog, |hold: &Hold| hold.until <= now).await
}

/// The snapshots that restores read at the moment, or will.
pub(super) async fn restoring(catalog: &dyn Catalog, now: Timestamp) -> Result<BTreeSet<SnapshotId>> {
    let holds = catalog::all::<Hold>(catalog).await?;
    let asked = catalog::all::<RestoreRecord>(catalog).await?;
    let held = holds.iter().filter(|h| h.until > now).map(|h| h.snapshot);
    Ok(held.chain(asked.iter().filter(|r| !r.is_settled()).map(|r| r.backup_id)).collect())
}

/// Gives up runs that people asked for and that did not come to their end: their orders must be lost.
///
/// # Errors
/// Those of the catalog.
pub async fn give_up_lost(catalog: &dyn Catalog, now: Timestamp) -> Result<u64> {
    let is_lost = |run: &PruneRecord| {
        let wait_s = if run.outcome == PruneOutcome::Asked { ORDER_LOST_S } else { PRUNE_LOST_S };
        run.requested_by.is_some() && !run.is_over() && run.started_at.plus_s(wait_s) <= now
    };
    let page = catalog::list::<PruneRecord>(catalog, None, PAGE_MAX).await?;
    let mut given_up = 0;
    for id in page.records.iter().filter(|run| is_lost(run)).map(|run| run.id) {
        let give_up = |run: &mut PruneRecord| {
            let lost = is_lost(run);
            if lost {
                (run.outcome, run.completed_at) = (PruneOutcome::Failed, Some(now));
                run.error = Some("no function went on with it: its order was lost; ask again".to_owned());
            }
            Ok(lost)
        };
        catalog::amend(catalog, id, give_up).await?;
        given_up += 1;
    }
    Ok(given_up)
}

//! What a person asks of restores: what one would do, one, a second person's consent, that one be stopped.
//!
//! Nothing of the vaults is read: which backup is meant, and what is in it, the catalog says. Whoever runs it looks again.

use super::progress::{RestorePhase, RestoreProgress};
use super::{Approval, RestoreRecord, confirmation};
use crate::catalog::{self, Catalog, ReplicaState, SnapshotRecord, Status, Warning};
use crate::clock::Timestamp;
use crate::contents::{Contents, ContentsId};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{RestoreId, SnapshotId};
use crate::limits::{DRILLED_LOOKS, ORDER_LOST_S};
use crate::ops::backup;
use crate::queue::{Queue, RestoreOrder};
use crate::scope::Scope;
use crate::source::{Coverage, CoverageState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Which backup is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Backup(SnapshotId),
    /// The newest, or the newest at or before the instant that is asked for.
    Latest,
}

/// A restore that is wanted.
#[derive(Clone, Debug)]
pub struct RestoreWish {
    /// Which backup.
    pub wanted: Wanted,
    /// What it is restored into.
    pub target_environment: Environment,
    /// The newest backup taken at or before this instant is meant.
    pub restore_point: Option<Timestamp>,
    /// What of it; everything without.
    pub include: Option<Scope>,
    /// Of what of that the rows are left out.
    pub exclude: Option<Scope>,
    /// The region of the vault to read; the first that holds the backup whole without.
    pub region: Option<String>,
    /// Whether the rows are masked as the policies say.
    pub masked: bool,
    /// The words that confirm that what the target holds is replaced.
    pub confirmation: Option<String>,
}

/// What a restore would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestorePlan {
    /// The backup that is meant.
    pub backup_id: SnapshotId,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// What it would be restored into.
    pub target_environment: Environment,
    /// The region of the vault that would be read.
    pub region: String,
    /// Whether the rows would be masked as the policies say.
    pub masked: bool,
    /// Bytes of the backup in each vault.
    pub size: u64,
    /// Rows that would be restored; fewer where it is masked, because the policies let some stay in production.
    pub rows: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// Milliseconds that it should take, by the last drill that restored everything; unknown without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub expected_ms: Option<i64>,
    /// Schemas that would be made, or replaced where the target holds them.
    pub schemas: Vec<String>,
    /// Whether what the target holds would be replaced; otherwise a target in use is refused.
    pub replaces: bool,
    /// The words to type so that what the target holds is replaced.
    pub confirmation: String,
    /// Whether a fresh backup of the target is made before it is replaced.
    pub safety_backup: bool,
    /// What of the source is not in the backup.
    pub not_in_backup: Vec<Coverage>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// What a restore would do.
///
/// # Errors
/// `NotFound` when there is no such backup, saying which instants there are; `Conflict` when it cannot be restored from there;
/// `Invalid` when the wish contradicts itself.
pub async fn plan(catalog: &dyn Catalog, wish: &RestoreWish) -> Result<RestorePlan> {
    check(wish)?;
    let record = choose(catalog, wish.wanted, wish.restore_point).await?;
    let Some(summary) = &record.summary else {
        return Err(Error::conflict(format!("backup {} is not made yet", record.id)));
    };
    let region = region(&record, wish.region.as_deref())?;
    let contents = catalog::get(catalog, ContentsId(record.id)).await.context("look at what is inside")?;
    let contents = contents.map(|c| c.value);
    let mut warnings = record.warnings.clone();
    let (rows, bytes, schemas) = match &contents {
        Some(contents) => extent(wish, contents)?,
        None => {
            warnings.push(Warning {
                code: "contents_unknown".to_owned(),
                message: "what is inside is not listed in the catalog; `verify` lists it again within a day".to_owned(),
            });
            (summary.rows, summary.bytes, Vec::new())
        }
    };
    let is_kept = |c: &&Coverage| !matches!(c.state, CoverageState::BackedUp | CoverageState::NotApplicable);
    Ok(RestorePlan {
        backup_id: record.id,
        taken_at: summary.taken_at,
        target_environment: wish.target_environment,
        region,
        masked: wish.masked,
        size: summary.size,
        rows,
        bytes,
        expected_ms: expected_ms(catalog, bytes).await?,
        schemas,
        replaces: wish.confirmation.is_some(),
        confirmation: confirmation(wish.target_environment.as_str(), record.id),
        safety_backup: wish.target_environment == Environment::Production,
        not_in_backup: contents.iter().flat_map(|c| &c.coverage).filter(is_kept).cloned().collect(),
        warnings,
    })
}

/// Asks for a restore. Gives its record; asked again with the same id, it is the same request.
///
/// # Errors
/// As [`plan`]; `Invalid` when the words that confirm it are not right, or are missing for production; those of the queue.
pub async fn request(
    catalog: &dyn Catalog,
    queue: &dyn Queue<RestoreOrder>,
    id: RestoreId,
    wish: &RestoreWish,
    by: &str,
    approval_s: Option<i64>,
    now: Timestamp,
) -> Result<RestoreRecord> {
    if let Some(found) = catalog::get(catalog, id).await.context(format!("read the record of restore {id}"))? {
        return order(queue, found.value).await;
    }
    let plan = plan(catalog, wish).await?;
    let must_confirm = wish.target_environment == Environment::Production;
    if wish.confirmation.as_ref().map_or(must_confirm, |typed| *typed != plan.confirmation) {
        return Err(Error::invalid(format!(
            "the confirmation is not the one that this needs; nothing was done. To replace what {} holds with this backup, type \
             \"confirmation\":\"{}\"",
            wish.target_environment, plan.confirmation
        )));
    }
    let approval_s = approval_s.filter(|_| must_confirm);
    let record = RestoreRecord {
        id,
        backup_id: plan.backup_id,
        taken_at: plan.taken_at,
        target_environment: wish.target_environment,
        restore_point: wish.restore_point,
        region: plan.region,
        include: wish.include.clone(),
        exclude: wish.exclude.clone(),
        masked: wish.masked,
        confirmation: wish.confirmation.clone(),
        requested_by: by.to_owned(),
        approval: approval_s.map(|s| Approval { until: now.plus_s(s), at: None, by: None }),
        cancelled: None,
        status: Status::Pending,
        phase: RestorePhase::Preparing,
        progress: RestoreProgress::default(),
        started_at: now,
        completed_at: None,
        heartbeat_at: now,
        error: None,
        attempt: None,
        waits: false,
        hand_overs: 0,
        idle: 0,
        restored: None,
    };
    match catalog::insert(catalog, &record).await {
        Ok(()) => order(queue, record).await,
        Err(e) if e.kind() == ErrorKind::Conflict => {
            let found = self::record(catalog, id).await?;
            order(queue, found).await
        }
        Err(e) => Err(e.context("write the restore's record")),
    }
}

/// A second person consents. Gives the record, and the restore begins.
///
/// # Errors
/// `NotFound`; `Conflict`, `Denied` as [`RestoreRecord::approve`]; those of the queue.
pub async fn approve(
    catalog: &dyn Catalog,
    queue: &dyn Queue<RestoreOrder>,
    id: RestoreId,
    by: &str,
    now: Timestamp,
) -> Result<RestoreRecord> {
    let approve = |record: &mut RestoreRecord| {
        let mine = record.approval.as_ref().is_some_and(|a| a.by.as_deref() == Some(by));
        // Sent again because the answer was lost.
        if mine {
            return Ok(false);
        }
        record.approve(by, now).map(|()| true)
    };
    let record = catalog::amend(catalog, id, approve).await?;
    order(queue, record).await
}

/// Stops a restore. What it replaced is as it was before; what it filled from empty is left as far as it came. Gives the record.
///
/// # Errors
/// `NotFound`; `Conflict` when there is nothing left to stop.
pub async fn cancel(catalog: &dyn Catalog, id: RestoreId, by: &str, now: Timestamp) -> Result<RestoreRecord> {
    catalog::amend(catalog, id, |record| record.cancel(by, now)).await
}

/// The record of a restore, as it is now.
///
/// # Errors
/// `NotFound`; those of the catalog.
pub async fn record(catalog: &dyn Catalog, id: RestoreId) -> Result<RestoreRecord> {
    let found = catalog::get(catalog, id).await.context(format!("read the record of restore {id}"))?;
    found.map(|v| v.value).ok_or_else(|| Error::not_found(format!("there is no restore {id}")))
}

/// Gives up restores whose consent came too late, and those of which nothing was heard for so long that their order must be lost.
///
/// # Errors
/// Those of the catalog.
pub async fn give_up_lost(catalog: &dyn Catalog, now: Timestamp) -> Result<u64> {
    let why = |record: &RestoreRecord| {
        if record.is_settled() {
            return None;
        }
        match (&record.approval, record.waits_for_approval()) {
            (Some(approval), true) => (approval.until <= now).then_some("nobody approved it in time"),
            _ => (record.heartbeat_at.plus_s(ORDER_LOST_S) <= now)
                .then_some("no function went on with it: its order was lost; ask again"),
        }
    };
    let mut given_up = 0;
    for record in catalog::all::<RestoreRecord>(catalog).await? {
        if why(&record).is_some() {
            catalog::amend(catalog, record.id, |r| Ok(why(r).is_some_and(|why| r.abandon(why, now)))).await?;
            given_up += 1;
        }
    }
    Ok(given_up)
}

/// Sends the order of a restore that nobody works on yet, if it needs nobody's consent.
async fn order(queue: &dyn Queue<RestoreOrder>, record: RestoreRecord) -> Result<RestoreRecord> {
    if record.status == Status::Pending && !record.waits_for_approval() {
        let order = RestoreOrder { restore_id: record.id, hand_overs: record.hand_overs };
        queue.send(&order, 0).await.context("order the restore")?;
    }
    Ok(record)
}

fn check(wish: &RestoreWish) -> Result<()> {
    if let Some(only) = &wish.include {
        only.check()?;
    }
    if wish.exclude.is_some() && wish.confirmation.is_some() {
        return Err(Error::invalid(
            "`exclude` leaves tables empty, so it cannot be given where what a database holds is replaced",
        ));
    }
    if !wish.masked && wish.target_environment != Environment::Production {
        return Err(Error::invalid(format!(
            "only those who see production may see what is in it: into {} rows are restored masked",
            wish.target_environment
        )));
    }
    Ok(())
}

/// The backup that is meant.
async fn choose(catalog: &dyn Catalog, wanted: Wanted, point: Option<Timestamp>) -> Result<SnapshotRecord> {
    let by_point = match (wanted, point) {
        (Wanted::Backup(id), None) => return named(catalog, id).await,
        (Wanted::Backup(_) | Wanted::Latest, point) => point,
    };
    let records = catalog::all::<SnapshotRecord>(catalog).await?;
    let taken_at = |r: &SnapshotRecord| r.summary.as_ref().map(|s| s.taken_at);
    let there: Vec<&SnapshotRecord> = records.iter().filter(|r| is_restorable(r)).collect();
    let eligible = there.iter().filter(|r| by_point.is_none_or(|point| taken_at(r).is_some_and(|at| at <= point)));
    let Some(chosen) = eligible.max_by_key(|r| (taken_at(r), r.id)) else {
        let instants: BTreeSet<Timestamp> = there.iter().filter_map(|r| taken_at(r)).collect();
        let known = match (instants.first(), instants.last()) {
            (Some(first), Some(last)) => format!("there are {}, taken from {first} to {last}", instants.len()),
            _ => "there is none at all".to_owned(),
        };
        let wanted = point.map_or_else(String::new, |point| format!(" taken at or before {point}"));
        return Err(Error::not_found(format!("there is no backup{wanted} that can be restored; {known}")));
    };
    if let Wanted::Backup(id) = wanted {
        let named = named(catalog, id).await?;
        if named.id != chosen.id {
            return Err(Error::invalid(format!(
                "`backupId` and `restorePoint` mean different backups: the newest at or before that instant is {}; give that, or leave \
                 `restorePoint` out, or give `latest` as `backupId`",
                chosen.id
            )));
        }
    }
    Ok((*chosen).clone())
}

/// The backup of an id, or the last generation of it where it was sealed again.
async fn named(catalog: &dyn Catalog, id: SnapshotId) -> Result<SnapshotRecord> {
    let mut record = backup::record(catalog, id).await?;
    while let Some(next) = record.superseded_by {
        record = backup::record(catalog, next).await?;
    }
    if let Some(at) = record.expired_at {
        return Err(Error::not_found(format!("backup {id} expired at {at}, and can no longer be restored")));
    }
    if record.status == Status::Failed {
        return Err(Error::conflict(format!("backup {id} failed: there is nothing to restore")));
    }
    Ok(record)
}

fn is_restorable(record: &SnapshotRecord) -> bool {
    record.summary.is_some()
        && record.expired_at.is_none()
        && record.superseded_by.is_none()
        && record.status != Status::Failed
        && record.replicas.iter().any(|r| r.state == ReplicaState::Complete)
}

/// The vault that is read.
fn region(record: &SnapshotRecord, wanted: Option<&str>) -> Result<String> {
    let whole = || record.replicas.iter().filter(|r| r.state == ReplicaState::Complete).map(|r| &r.place.region);
    let found = match wanted {
        None => whole().next(),
        Some(wanted) => whole().find(|region| *region == wanted),
    };
    found.cloned().ok_or_else(|| {
        let regions = whole().cloned().collect::<Vec<_>>().join(", ");
        let from = wanted.map_or_else(|| "any region".to_owned(), |r| format!("`{r}`"));
        Error::conflict(format!("backup {} cannot be restored from {from}; it is whole in: {regions}", record.id))
    })
}

/// Rows and bytes that would come, and the schemas that they are of.
fn extent(wish: &RestoreWish, contents: &Contents) -> Result<(u64, u64, Vec<String>)> {
    let has = |scope: &Scope, schema: &str, name: &str| {
        scope.schemas.iter().any(|s| s == schema) || scope.tables.iter().any(|t| t.schema == schema && t.name == name)
    };
    // Which tables a class has is known to whoever restores.
    let everything = wish.include.as_ref().is_none_or(|only| !only.classes.is_empty());
    let chosen = contents
        .tables
        .iter()
        .filter(|t| everything || wish.include.as_ref().is_some_and(|only| has(only, &t.schema, &t.name)));
    let chosen: Vec<_> = chosen.collect();
    let is_cut = contents.tables_total > contents.tables.len() as u64;
    if let Some(only) = wish.include.as_ref().filter(|only| !everything && !is_cut && !only.has_no_rows())
        && chosen.is_empty()
        && only.buckets.is_empty()
    {
        return Err(Error::invalid("`include` names nothing that the backup has rows of"));
    }
    let kept = chosen.iter().filter(|t| wish.exclude.as_ref().is_none_or(|e| !has(e, &t.schema, &t.name)));
    let (rows, bytes) = kept.fold((0, 0), |(rows, bytes), t| (rows + t.rows, bytes + t.bytes));
    let schemas: BTreeSet<&str> = chosen.iter().map(|t| t.schema.as_str()).collect();
    Ok((rows, bytes, schemas.into_iter().map(str::to_owned).collect()))
}

/// By the last drill that restored everything: as long as that, or in proportion where there is more.
async fn expected_ms(catalog: &dyn Catalog, bytes: u64) -> Result<Option<i64>> {
    let page = catalog::list::<SnapshotRecord>(catalog, None, DRILLED_LOOKS).await.context("look for a drill")?;
    let drills = page.records.iter().filter_map(|r| r.drilled.as_ref());
    let last = drills.filter(|d| d.passed && d.whole && d.bytes > 0).max_by_key(|d| d.at);
    Ok(last.and_then(|drill| {
        let share = bytes as f64 / drill.bytes as f64;
        Some((drill.recovery_ms? as f64 * share.max(1.0)) as i64)
    }))
}

//! What a change of the catalog tells: what happened to a backup, a drill or a rotation of keys, seen by comparing its record with what it
//! was before. Pure.
//!
//! Always holds: the same change gives the same ids, so whoever is told twice can tell.

use super::notification::{Kind, Notification, Severity};
use crate::catalog::{Collection, Document, ReplicaState, SnapshotRecord, Status};
use crate::environment::Environment;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::ops::drill::{DrillOutcome, DrillRecord};
use crate::ops::restore::RestoreRecord;
use crate::ops::rotate::{RotationRecord, RotationState};
use crate::vault::VaultRole;

/// A record that changed: as it was, if it was there, and as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Option<Document>,
    /// After.
    pub after: Document,
}

/// The collections whose changes tell something.
pub const TOLD_OF: [Collection; 4] =
    [Collection::Backups, Collection::Drills, Collection::Restores, Collection::Rotations];

/// What a change tells.
///
/// # Errors
/// `Corrupt` when a record cannot be read.
pub fn of_change(change: &Change) -> Result<Vec<Notification>> {
    let Change { before, after } = change;
    Ok(match after.collection {
        Collection::Backups => {
            let before = before.as_ref().map(Document::read::<SnapshotRecord>).transpose()?;
            of_backup(before.as_ref(), &after.read()?)
        }
        Collection::Drills => {
            let before = before.as_ref().map(Document::read::<DrillRecord>).transpose()?;
            of_drill(before.as_ref(), &after.read()?)
        }
        Collection::Restores => {
            let before = before.as_ref().map(Document::read::<RestoreRecord>).transpose()?;
            of_restore(before.as_ref(), &after.read()?)
        }
        Collection::Rotations => {
            let before = before.as_ref().map(Document::read::<RotationRecord>).transpose()?;
            of_rotation(before.as_ref(), &after.read()?)
        }
        _ => Vec::new(),
    })
}

fn of_backup(before: Option<&SnapshotRecord>, after: &SnapshotRecord) -> Vec<Notification> {
    let mut told = Vec::new();
    let id = after.id;
    let mut tell = |kind, of: &str, at, severity, summary: String| {
        let mut notification = Notification::new(kind, format_args!("{id}{of}"), at, severity, summary);
        notification.source = Some(after.source.clone());
        notification.backup_id = Some(id);
        told.push(notification);
        told.len() - 1
    };
    let status = before.map_or(Status::Pending, |b| b.status);
    // A record that was put back, or of a backup that was sealed again, tells nothing of its making.
    let is_made = after.attempt.is_none_or(|a| a.epoch > 0);
    let mut details: Vec<(usize, Details)> = Vec::new();
    if is_made {
        if status == Status::Pending && after.status > Status::Pending {
            tell(
                Kind::BackupStarted,
                "",
                after.started_at,
                Severity::Info,
                format!("a backup of {} began", after.source),
            );
        }
        let percent = before.map_or(0, |b| b.progress.percent);
        for quarter in [25, 50, 75] {
            if percent < quarter && quarter <= after.progress.percent && after.status != Status::Failed {
                let summary = format!("the backup of {} is done by {quarter} %", after.source);
                let n = tell(Kind::BackupProgress, &format!("/{quarter}"), after.heartbeat_at, Severity::Info, summary);
                details.push((n, Details::Percent(quarter)));
            }
        }
    }
    for replica in &after.replicas {
        let earlier = before.and_then(|b| b.replicas.iter().find(|r| r.place.role == replica.place.role));
        let region = &replica.place.region;
        let was = earlier.map_or(ReplicaState::Pending, |r| r.state);
        let news = match (was, replica.state) {
            (ReplicaState::Pending, ReplicaState::Complete) if is_made && replica.place.role != VaultRole::Primary => {
                let at = replica.completed_at.unwrap_or(after.heartbeat_at);
                Some((Kind::BackupReplicated, at, Severity::Info, format!("the backup is whole in {region}")))
            }
            (was, ReplicaState::Damaged) if was != ReplicaState::Damaged => {
                let at = replica.verified_at.unwrap_or(after.heartbeat_at);
                let what = replica.findings.iter().find(|f| f.code.is_damage());
                let what = what.map_or_else(String::new, |f| format!(": {}: {}", f.object, f.message));
                let summary = format!("a restore from {region} would fail{what}");
                Some((Kind::BackupDamaged, at, Severity::Error, summary))
            }
            (ReplicaState::Damaged, ReplicaState::Complete) => {
                let at = replica.completed_at.max(replica.verified_at).unwrap_or(after.heartbeat_at);
                Some((Kind::BackupRepaired, at, Severity::Info, format!("what was damaged in {region} is whole again")))
            }
            _ => None,
        };
        if let Some((kind, at, severity, summary)) = news {
            let n = tell(kind, &format!("/{region}/{}", at.as_millis()), at, severity, summary);
            details.push((n, Details::Region(region.clone())));
        }
    }
    if is_made && status != after.status {
        let at = after.completed_at.unwrap_or(after.heartbeat_at);
        match after.status {
            Status::Completed => {
                let warnings = match after.warnings.len() {
                    0 => String::new(),
                    n => format!(", with {n} warnings"),
                };
                let (rows, size) = after.summary.as_ref().map_or((0, 0), |s| (s.rows, s.size));
                let severity = if after.warnings.is_empty() { Severity::Info } else { Severity::Warning };
                let summary = format!("the backup of {} is whole in all regions: {rows} rows{warnings}", after.source);
                let n = tell(Kind::BackupCompleted, "", at, severity, summary);
                details.push((n, Details::Made(rows, size)));
            }
            Status::Failed => {
                let error = after.error.clone().unwrap_or_default();
                let n =
                    tell(Kind::BackupFailed, "", at, Severity::Error, format!("the backup of {} failed", after.source));
                details.push((n, Details::Error(error)));
            }
            Status::Pending | Status::InProgress => {}
        }
    }
    let read_at = after.verified.and_then(|v| v.read_at);
    if let Some(at) = read_at.filter(|_| before.and_then(|b| b.verified).and_then(|v| v.read_at).is_none()) {
        let summary = "all of the backup was read back, and is what was backed up";
        tell(Kind::BackupVerified, "", at, Severity::Info, summary.to_owned());
    }
    if let Some(drilled) = after.drilled.as_ref().filter(|d| before.and_then(|b| b.drilled.as_ref()) != Some(*d)) {
        let (severity, what) = match (drilled.passed, drilled.whole) {
            (true, true) => (Severity::Info, "was restored from"),
            (true, false) => (Severity::Info, "was restored as a sample from"),
            (false, _) => (Severity::Error, "could not be restored from"),
        };
        let summary = format!("the backup {what} {}", drilled.region);
        let n = tell(Kind::BackupDrilled, &format!("/{}", drilled.at.as_millis()), drilled.at, severity, summary);
        details.push((n, Details::Drilled(drilled.region.clone(), drilled.rows, drilled.recovery_ms)));
    }
    if let Some(at) = after.expired_at.filter(|_| before.is_none_or(|b| b.expired_at.is_none())) {
        let summary = match after.superseded_by {
            Some(_) => "the backup went: it was sealed again under another key",
            None => "the backup went, by the policy",
        };
        let n = tell(Kind::BackupExpired, "", at, Severity::Info, summary.to_owned());
        details.push((n, Details::Superseded(after.superseded_by)));
    }
    for (n, detail) in details {
        detail.put(&mut told[n]);
    }
    told
}

/// What some notifications say beside.
enum Details {
    Percent(u8),
    Region(String),
    Made(u64, u64),
    Error(String),
    Drilled(String, u64, Option<i64>),
    Superseded(Option<SnapshotId>),
}

impl Details {
    fn put(self, notification: &mut Notification) {
        match self {
            Self::Percent(percent) => notification.percent = Some(percent),
            Self::Region(region) => notification.region = Some(region),
            Self::Made(rows, size) => (notification.rows, notification.size) = (Some(rows), Some(size)),
            Self::Error(error) => notification.error = Some(error),
            Self::Drilled(region, rows, recovery_ms) => {
                (notification.region, notification.rows) = (Some(region), Some(rows));
                notification.recovery_ms = recovery_ms;
            }
            Self::Superseded(id) => notification.superseded_by = id,
        }
    }
}

fn of_drill(before: Option<&DrillRecord>, after: &DrillRecord) -> Vec<Notification> {
    if after.outcome != DrillOutcome::Broken || before.is_some_and(|b| b.outcome == DrillOutcome::Broken) {
        return Vec::new();
    }
    let at = after.completed_at.unwrap_or(after.started_at);
    let summary = "a drill did not come to its end; it says nothing of the backup";
    let mut broken = Notification::new(Kind::DrillBroken, after.id, at, Severity::Error, summary);
    (broken.backup_id, broken.region) = (after.backup, Some(after.region.clone()));
    broken.error.clone_from(&after.error);
    vec![broken]
}

fn of_restore(before: Option<&RestoreRecord>, after: &RestoreRecord) -> Vec<Notification> {
    let into = after.target_environment;
    let tell = |kind, at, severity, summary: String| {
        let mut notification = Notification::new(kind, after.id, at, severity, summary);
        (notification.backup_id, notification.restore_id) = (Some(after.backup_id), Some(after.id));
        (notification.environment, notification.region) = (Some(into), Some(after.region.clone()));
        notification
    };
    let mut told = Vec::new();
    if let Some(approval) = after.approval.as_ref().filter(|_| before.is_none()) {
        let summary =
            format!("a restore into {into} waits for the consent of a second person, until {}", approval.until);
        told.push(tell(Kind::RestoreWaiting, after.started_at, Severity::Warning, summary));
    }
    let status = before.map_or(Status::Pending, |b| b.status);
    if status == Status::Pending && after.status > Status::Pending && after.attempt.is_some() {
        // Whoever lives with it should know that something is done to production.
        let severity = if into == Environment::Production { Severity::Warning } else { Severity::Info };
        told.push(tell(Kind::RestoreStarted, after.heartbeat_at, severity, format!("a restore into {into} began")));
    }
    let at = after.completed_at.unwrap_or(after.heartbeat_at);
    match after.status {
        Status::Completed if status != Status::Completed => {
            let rows = after.restored.as_ref().map_or(0, |r| r.rows);
            let summary = format!("the restore into {into} is done, and proven: {rows} rows");
            let mut done = tell(Kind::RestoreCompleted, at, Severity::Info, summary);
            done.rows = Some(rows);
            told.push(done);
        }
        Status::Failed if status != Status::Failed => {
            let severity = if after.cancelled.is_some() { Severity::Info } else { Severity::Error };
            let mut failed = tell(Kind::RestoreFailed, at, severity, format!("the restore into {into} was not done"));
            failed.error.clone_from(&after.error);
            told.push(failed);
        }
        _ => {}
    }
    told
}

fn of_rotation(before: Option<&RotationRecord>, after: &RotationRecord) -> Vec<Notification> {
    let mut told = Vec::new();
    if before.is_none() {
        let summary = "what is kept is being sealed again under the new key";
        told.push(Notification::new(Kind::RotationStarted, after.id, after.started_at, Severity::Info, summary));
    }
    let first = |r: &RotationRecord| r.not_sealed.first().cloned();
    if let Some(stuck) = first(after).filter(|stuck| before.and_then(first).as_ref() != Some(stuck)) {
        let summary = format!("{} backups cannot be sealed again", after.not_sealed.len());
        let of = format!("{}/{}", after.id, stuck.id);
        let mut notification = Notification::new(Kind::RotationStuck, of, after.heartbeat_at, Severity::Error, summary);
        (notification.backup_id, notification.error) = (Some(stuck.id), Some(stuck.error));
        told.push(notification);
    }
    if after.state == RotationState::Done && before.is_none_or(|b| b.state != RotationState::Done) {
        let summary = format!("nothing needs the former key any more: {} backups were sealed again", after.backups);
        let at = after.completed_at.unwrap_or(after.heartbeat_at);
        told.push(Notification::new(Kind::RotationCompleted, after.id, at, Severity::Info, summary));
    }
    told
}

#[cfg(test)]
mod tests;

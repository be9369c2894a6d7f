//! What came of the backups of the last days, and which never came. Pure.
//!
//! Always holds: a backup is missed when the schedule, as it is set now, was due, and nothing began until it was due again; what was
//! due before the first backup that is known is not held against it, and what is due a moment ago may still begin.

use crate::catalog::{self, Catalog, ReplicaState, SnapshotRecord, Status, Trigger};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::limits::{HISTORY_PAGE, HISTORY_RUNS_MAX, LATE_S};
use crate::schedule::Schedule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The scheduler's clock and ours may be so far apart.
const SLACK_S: i64 = 60;

/// What came of one backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// It is under way.
    Running,
    /// It is whole in all regions.
    Good,
    /// It was made, and something about it is not as it should be: a region lost it, or it did not restore.
    Warning,
    /// It was not made.
    Failed,
    /// A person stopped it.
    Cancelled,
}

/// One backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    pub id: SnapshotId,
    /// When it was asked for.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: RunOutcome,
}

/// The backups of the last days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// From when on they are told.
    pub from: Timestamp,
    /// When this was seen.
    pub at: Timestamp,
    /// Those that began, newest first.
    pub runs: Vec<Run>,
    /// When one was due by the schedule, and none began; newest first.
    pub missed: Vec<Timestamp>,
}

/// The backups since an instant.
///
/// # Errors
/// Those of the catalog.
pub async fn history(catalog: &dyn Catalog, schedule: &Schedule, from: Timestamp, now: Timestamp) -> Result<History> {
    let records = catalog::newest(catalog, HISTORY_PAGE, |records| suffice(records, from)).await?;
    Ok(History::of(&records, schedule, from, now))
}

/// Whether older records than these could tell nothing of what came since an instant: the last that came before is among them.
fn suffice(records: &[SnapshotRecord], from: Timestamp) -> bool {
    let is_before = |r: &SnapshotRecord| r.started_at < from;
    records.last().is_some_and(is_before)
        && records.iter().any(|r| is_before(r) && r.trigger != Trigger::Manual && r.superseded_by.is_none())
}

impl History {
    /// By the records, newest first.
    pub fn of(records: &[SnapshotRecord], schedule: &Schedule, from: Timestamp, now: Timestamp) -> Self {
        let mut known: Vec<&SnapshotRecord> = records.iter().filter(|r| r.superseded_by.is_none()).collect();
        known.sort_by_key(|r| (r.started_at, r.id));
        let shown: Vec<Run> = known.iter().rev().filter(|r| r.started_at >= from).map(|r| run(r)).collect();
        let from = shown.get(HISTORY_RUNS_MAX).map_or(from, |run| run.at.plus_s(1));
        let runs = shown.into_iter().filter(|run| run.at >= from).collect();
        // Those of a catalog that was rebuilt may have been of the schedule.
        let scheduled: Vec<Timestamp> =
            known.iter().filter(|r| r.trigger != Trigger::Manual).map(|r| r.started_at).collect();
        let mut missed = missed(&scheduled, schedule, from, now);
        missed.reverse();
        missed.truncate(HISTORY_RUNS_MAX);
        Self { from, at: now, runs, missed }
    }
}

fn run(record: &SnapshotRecord) -> Run {
    let is_damaged = record.replicas.iter().any(|r| r.state == ReplicaState::Damaged);
    let did_not_restore = record.drilled.as_ref().is_some_and(|d| !d.passed);
    let outcome = match record.status {
        Status::Pending | Status::InProgress => RunOutcome::Running,
        Status::Failed if record.cancelled.is_some() => RunOutcome::Cancelled,
        Status::Failed => RunOutcome::Failed,
        Status::Completed if is_damaged || did_not_restore => RunOutcome::Warning,
        Status::Completed => RunOutcome::Good,
    };
    Run { id: record.id, at: record.started_at, outcome }
}

/// When it was due and none began, oldest first. `scheduled` are those that began, oldest first.
fn missed(scheduled: &[Timestamp], schedule: &Schedule, from: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let mut missed = Vec::new();
    // What came before shows when the next was due; without it the first that came does.
    let begin = scheduled.partition_point(|at| *at < from).saturating_sub(1);
    let Some(mut last) = scheduled.get(begin).copied() else { return missed };
    let mut left = scheduled[begin + 1..].iter().copied().peekable();
    let mut cursor = last.plus_s(SLACK_S);
    while let Some(due) = schedule.next_after(cursor, Some(last)) {
        if due.plus_s(LATE_S) > now {
            break;
        }
        let again = schedule.next_after(due, Some(due));
        let mut came = None;
        while let Some(at) = left.next_if(|at| again.is_none_or(|again| at.plus_s(SLACK_S) < again)) {
            // What began before this was due came twice for the one before.
            came = came.or(Some(at).filter(|at| at.plus_s(SLACK_S) >= due));
        }
        match came {
            Some(at) => (last, cursor) = (at, due.max(at)),
            None => {
                if due >= from {
                    missed.push(due);
                }
                (last, cursor) = (due, due);
            }
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    fn at(text: &str) -> Timestamp {
        Timestamp::try_from(format!("2026-11-{text}:00.000Z")).expect("an instant")
    }

    fn missed_of(schedule: &str, scheduled: &[&str], from: &str, now: &str) -> Vec<Timestamp> {
        let scheduled: Vec<Timestamp> = scheduled.iter().map(|text| at(text)).collect();
        missed(&scheduled, &schedule.parse().expect("a schedule"), at(from), at(now))
    }

    #[test]
    fn what_was_due_and_never_began_is_missed() {
        let daily = "cron(0 3 * * ? *)";
        for (what, schedule, scheduled, now, expected) in [
            ("each came", daily, &["20T03:00", "21T03:00", "22T03:01"][..], "22T12:00", &[][..]),
            ("one did not", daily, &["20T03:00", "22T03:00"], "22T12:00", &["21T03:00"]),
            ("one came twice", daily, &["20T03:00", "20T03:05", "20T03:10"], "21T12:00", &["21T03:00"]),
            ("a little early", daily, &["20T03:00", "21T02:59"], "21T12:00", &[]),
            ("late, and before the next", daily, &["20T03:00", "21T17:00"], "21T18:00", &[]),
            ("none since", daily, &["20T03:00"], "23T02:00", &["21T03:00", "22T03:00"]),
            ("due a moment ago", daily, &["20T03:00"], "21T03:05", &[]),
            ("nothing is known", daily, &[], "23T02:00", &[]),
            ("before all that is shown", daily, &["10T03:00", "21T03:00"], "21T12:00", &["20T03:00"]),
            ("by a rate", "rate(1 hour)", &["20T03:00", "20T04:01", "20T07:00"], "20T07:30", &["20T05:01", "20T06:01"]),
            ("twice an hour", "cron(0/30 * * * ? *)", &["20T03:00", "20T04:00"], "20T04:20", &["20T03:30"]),
        ] {
            let from = if what.starts_with("before") { "20T00:00" } else { "19T00:00" };
            let expected: Vec<Timestamp> = expected.iter().map(|text| at(text)).collect();
            assert_eq!(missed_of(schedule, scheduled, from, now), expected, "{what}");
        }
    }

    #[test]
    fn a_schedule_of_every_minute_is_told_in_bounds() {
        let every_minute: Schedule = "rate(1 minute)".parse().expect("a schedule");
        let now = at("22T12:00");
        let dead = missed(&[now.plus_s(-30 * DAY_S)], &every_minute, now.plus_s(-30 * DAY_S), now);
        assert!(dead.len() > HISTORY_RUNS_MAX);
        let places = crate::ops::watch::protection::tests::places();
        let id = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f0001".parse().expect("an id");
        let record =
            SnapshotRecord::pending(id, "database".to_owned(), Trigger::Schedule, now.plus_s(-30 * DAY_S), &places);
        let many = vec![record; HISTORY_RUNS_MAX + 10];
        let told = History::of(&many, &every_minute, now.plus_s(-31 * DAY_S), now);
        assert_eq!((told.missed.len(), told.runs.len()), (HISTORY_RUNS_MAX, 0));
        assert!(told.missed[0] > told.missed[1]);
    }
}

//! Whether the source is protected, in one word and with the reasons: what a person looks at first. Pure, but for the listing.
//!
//! Always holds: `protected` is said only of what the catalog shows to be whole, fresh enough, in all regions, and proven; whatever
//! is not known counts against it.

use super::of_whole_source;
use crate::catalog::{self, Catalog, ReplicaState, SnapshotRecord, Status, Warning};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::limits::{PROTECTION_BACKUPS, PROTECTION_DRILLS, TURNS_PASS_S};
use crate::ops::drill::{DrillOutcome, DrillRecord, Streak};
use crate::schedule::Schedule;
use crate::vault::{VaultPlace, VaultRole};
use futures::future;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The newest backup is fresh, whole in all regions, and a restore was proven lately.
    Protected,
    /// There is a backup that restores, and something that should be so is not.
    AtRisk,
    /// No backup is known that restores, or it is far too old.
    NotProtected,
}

/// What is expected.
#[derive(Clone, Debug)]
pub struct Targets {
    /// When backups are made.
    pub schedule: Schedule,
    /// A backup older than so many seconds is too old.
    pub backup_age_max_s: i64,
    /// A drill older than so many seconds proves nothing any more.
    pub drill_age_max_s: i64,
}

/// The newest backup that restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastGood {
    /// Its id.
    pub id: SnapshotId,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// When it was whole in all regions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub completed_at: Option<Timestamp>,
}

/// The last drill that said anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastDrill {
    /// When it ended.
    pub at: Timestamp,
    /// Whether it passed.
    pub passed: bool,
    /// The region that was read.
    pub region: String,
}

/// The newest backup in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionState {
    /// The role of the vault.
    pub role: VaultRole,
    /// The region.
    pub region: String,
    /// Whether it is whole there.
    pub state: ReplicaState,
}

/// Whether the source is protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Protection {
    /// In one word.
    pub verdict: Verdict,
    /// Why it is not better; empty when protected.
    pub reasons: Vec<Warning>,
    /// When this was seen.
    pub at: Timestamp,
    /// The newest backup of everything that is whole in all regions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub last_good: Option<LastGood>,
    /// The backup that is being made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub running: Option<SnapshotId>,
    /// When the schedule makes the next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub next_due: Option<Timestamp>,
    /// Seconds of work that would be lost now: since the instant that the newest backup shows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub recovery_point_s: Option<i64>,
    /// Seconds that may be lost, as the owner set it.
    pub recovery_point_target_s: i64,
    /// Milliseconds that the last restore of everything took in a drill.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub recovery_time_ms: Option<i64>,
    /// The last drill that said anything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub last_drill: Option<LastDrill>,
    /// What the last drills show together.
    pub streak: Streak,
    /// The newest backup, region by region, primary first.
    pub regions: Vec<RegionState>,
}

/// Whether the source is protected, by what the catalog knows.
///
/// # Errors
/// Those of the catalog.
pub async fn protection(
    catalog: &dyn Catalog,
    places: &[VaultPlace],
    targets: &Targets,
    now: Timestamp,
) -> Result<Protection> {
    // The app asks for this again and again: what cannot change the answer is not read.
    let records = catalog::newest(catalog, PROTECTION_BACKUPS, |records| suffice(records, &targets.schedule));
    let drills = catalog::newest::<DrillRecord>(catalog, PROTECTION_DRILLS, |_| true);
    let (records, drills) = future::try_join(records, drills).await?;
    Ok(Protection::of(&records, &drills, places, targets, now))
}

fn taken_at(record: &SnapshotRecord) -> Option<Timestamp> {
    record.summary.as_ref().map(|s| s.taken_at)
}

fn live(records: &[SnapshotRecord]) -> impl Iterator<Item = &SnapshotRecord> {
    records.iter().filter(|r| r.expired_at.is_none() && r.superseded_by.is_none())
}

/// The newest backup of everything that is whole in all regions, and restores from one of them.
fn last_good(records: &[SnapshotRecord]) -> Option<&SnapshotRecord> {
    let good = live(records).filter(|r| r.status == Status::Completed && of_whole_source(r));
    let whole = good.filter(|r| r.replicas.iter().any(|c| c.state == ReplicaState::Complete));
    whole.max_by_key(|r| (taken_at(r), r.id))
}

/// When the schedule made the last.
fn last_scheduled(records: &[SnapshotRecord]) -> Option<Timestamp> {
    records.iter().filter(|r| r.trigger == catalog::Trigger::Schedule).map(|r| r.started_at).max()
}

/// Whether older records than these could change nothing.
fn suffice(records: &[SnapshotRecord], schedule: &Schedule) -> bool {
    let (Some(good), Some(oldest)) = (last_good(records).and_then(taken_at), records.last()) else { return false };
    let is_last = oldest.started_at.plus_s(TURNS_PASS_S) < good;
    is_last && (!schedule.counts_from_last() || last_scheduled(records).is_some())
}

impl Protection {
    /// By the records of backups and of drills, newest first.
    pub fn of(
        records: &[SnapshotRecord],
        drills: &[DrillRecord],
        places: &[VaultPlace],
        targets: &Targets,
        now: Timestamp,
    ) -> Self {
        let last = last_good(records);
        let running = live(records).find(|r| !r.is_settled() && r.summary.is_none()).map(|r| r.id);
        let state = |place: &VaultPlace| {
            let replica = last.and_then(|r| r.replicas.iter().find(|c| c.place.role == place.role));
            RegionState {
                role: place.role,
                region: place.region.clone(),
                state: replica.map_or(ReplicaState::Pending, |c| c.state),
            }
        };
        let said = drills.iter().find(|d| matches!(d.outcome, DrillOutcome::Passed | DrillOutcome::Failed));
        let last_drill = said.map(|d| LastDrill {
            at: d.completed_at.unwrap_or(d.started_at),
            passed: d.outcome == DrillOutcome::Passed,
            region: d.region.clone(),
        });
        let measured = drills.iter().filter(|d| d.outcome == DrillOutcome::Passed).find_map(|d| d.recovery_ms);
        let mut protection = Self {
            verdict: Verdict::Protected,
            reasons: Vec::new(),
            at: now,
            last_good: last
                .and_then(|r| Some(LastGood { id: r.id, taken_at: taken_at(r)?, completed_at: r.completed_at })),
            running,
            next_due: targets.schedule.next_after(now, last_scheduled(records)),
            recovery_point_s: last.and_then(taken_at).map(|at| (now.since(at) / 1_000).max(0)),
            recovery_point_target_s: targets.backup_age_max_s,
            recovery_time_ms: measured,
            last_drill,
            streak: Streak::of(drills),
            regions: places.iter().map(state).collect(),
        };
        protection.judge(records, targets, now);
        protection
    }

    fn judge(&mut self, records: &[SnapshotRecord], targets: &Targets, now: Timestamp) {
        let target_s = targets.backup_age_max_s;
        match self.recovery_point_s {
            None => self.blame(Verdict::NotProtected, "no_backup", "no backup is whole in all regions yet"),
            // A backup of a week ago is little use to a shop; of an hour too late it still is.
            Some(age_s) if age_s > 7 * target_s => {
                self.blame(
                    Verdict::NotProtected,
                    "backup_far_too_old",
                    format!("the newest backup is {} old", hours(age_s)),
                );
            }
            Some(age_s) if age_s > target_s => {
                let message =
                    format!("the newest backup is {} old, and should be at most {}", hours(age_s), hours(target_s));
                self.blame(Verdict::AtRisk, "backup_too_old", message);
            }
            Some(_) => {}
        }
        if self.last_good.is_some() {
            let lacking: Vec<String> =
                self.regions.iter().filter(|r| r.state != ReplicaState::Complete).map(|r| r.region.clone()).collect();
            for region in lacking {
                let message = format!("the newest backup cannot be restored from {region}");
                self.blame(Verdict::AtRisk, "region_lacking", message);
            }
        }
        let newest = records.iter().filter(|r| r.is_settled()).max_by_key(|r| r.id);
        if let Some(failed) = newest.filter(|r| r.status == Status::Failed && r.cancelled.is_none()) {
            let why = failed.error.as_deref().unwrap_or("for a reason that it does not say");
            self.blame(Verdict::AtRisk, "last_backup_failed", format!("the last backup failed: {why}"));
        }
        match self.last_drill.clone() {
            None => self.blame(Verdict::AtRisk, "never_proven", "no backup was restored in a drill yet"),
            Some(drill) if !drill.passed => {
                let message = format!("the last drill, from {}, failed", drill.region);
                self.blame(Verdict::AtRisk, "drill_failed", message);
            }
            Some(drill) if now.since(drill.at) > targets.drill_age_max_s * 1_000 => {
                let message = format!("the last drill was {} ago", hours(now.since(drill.at) / 1_000));
                self.blame(Verdict::AtRisk, "drill_too_old", message);
            }
            Some(_) => {}
        }
    }

    fn blame(&mut self, verdict: Verdict, code: &str, message: impl Into<String>) {
        self.verdict = self.verdict.max(verdict);
        self.reasons.push(Warning { code: code.to_owned(), message: message.into() });
    }
}

fn hours(seconds: i64) -> String {
    match seconds / 3_600 {
        0 => format!("{} min", seconds / 60),
        hours @ 1..72 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::catalog::{AttemptRecord, SnapshotSummary, Trigger};
    use crate::ops::drill::Extent;
    use crate::stage::Sha256;

    const NOW_MS: i64 = 1_795_316_400_000;

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW_MS)
    }

    pub(in super::super) fn places() -> Vec<VaultPlace> {
        let place = |role: VaultRole| VaultPlace { role, region: role.to_string(), bucket: role.to_string() };
        VaultRole::ALL.into_iter().map(place).collect()
    }

    fn id(n: u32) -> SnapshotId {
        format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f{n:04}").parse().expect("an id")
    }

    fn backup(n: u32, age_s: i64, replicas: &[VaultRole]) -> SnapshotRecord {
        let at = now().plus_s(-age_s);
        let mut record = SnapshotRecord::pending(id(n), "database".to_owned(), Trigger::Schedule, at, &places());
        let attempt = AttemptRecord { id: "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072".parse().expect("an id"), epoch: 1 };
        record.begin(attempt, at).expect("begins");
        let summary = SnapshotSummary {
            taken_at: at,
            size: 1,
            checksum: Sha256::of(b"x"),
            tables: 1,
            rows: 1,
            bytes: 1,
            compression: "zstd".to_owned(),
            path: "x".to_owned(),
        };
        record.commit(attempt.id, summary, Vec::new(), at).expect("commits");
        for role in replicas {
            record.mark_complete(*role, at);
        }
        record
    }

    fn drill(outcome: DrillOutcome, age_s: i64) -> DrillRecord {
        let at = now().plus_s(-age_s);
        DrillRecord {
            id: "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id"),
            started_at: at,
            completed_at: Some(at),
            outcome,
            error: None,
            backup: None,
            region: "secondary".to_owned(),
            server: String::new(),
            extent: Extent::Everything,
            recovery_ms: Some(1_234),
            tables: 0,
            rows: 0,
            bytes: 0,
            constraints: 0,
            checks: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn verdict(records: &[SnapshotRecord], drills: &[DrillRecord]) -> (Verdict, Vec<String>) {
        let targets = Targets {
            schedule: "cron(0 3 * * ? *)".parse().expect("a schedule"),
            backup_age_max_s: 26 * 3_600,
            drill_age_max_s: 50 * 3_600,
        };
        let seen = Protection::of(records, drills, &places(), &targets, now());
        assert_eq!(seen.verdict == Verdict::Protected, seen.reasons.is_empty());
        assert!(seen.next_due.is_some_and(|due| due > now()));
        (seen.verdict, seen.reasons.into_iter().map(|r| r.code).collect())
    }

    #[test]
    fn older_records_are_read_until_they_can_change_nothing() {
        let hour = 3_600;
        let daily: Schedule = "cron(0 3 * * ? *)".parse().expect("a schedule");
        let hourly: Schedule = "rate(1 hour)".parse().expect("a schedule");
        let manual = |mut record: SnapshotRecord| {
            record.trigger = Trigger::Manual;
            record
        };
        let good = || backup(9, hour, &VaultRole::ALL);
        let behind = || backup(8, hour, &[]);
        for (what, records, schedule, expected) in [
            ("none", vec![], &daily, false),
            ("none that is whole", vec![behind(), backup(1, 30 * hour, &[])], &daily, false),
            ("one may have waited for its turn", vec![good(), backup(1, 20 * hour, &[])], &daily, false),
            ("none may have", vec![good(), backup(1, 30 * hour, &[])], &daily, true),
            ("the last of the schedule", vec![manual(good()), backup(1, 30 * hour, &[])], &hourly, true),
            ("none of the schedule", vec![manual(good()), manual(backup(1, 30 * hour, &[]))], &hourly, false),
            ("a schedule that needs none", vec![manual(good()), manual(backup(1, 30 * hour, &[]))], &daily, true),
        ] {
            assert_eq!(suffice(&records, schedule), expected, "{what}");
        }
    }

    #[test]
    fn it_is_protected_only_when_nothing_is_lacking() {
        let hour = 3_600;
        let good = backup(1, hour, &VaultRole::ALL);
        let passed = drill(DrillOutcome::Passed, hour);
        assert_eq!(
            verdict(std::slice::from_ref(&good), std::slice::from_ref(&passed)),
            (Verdict::Protected, Vec::new())
        );
        // A drill that broke says nothing.
        let broken = drill(DrillOutcome::Broken, 1);
        assert_eq!(verdict(std::slice::from_ref(&good), &[broken, passed.clone()]).0, Verdict::Protected);

        let mut failed = backup(2, 1, &[]);
        failed.summary = None;
        failed.fail("why", now());
        let mut damaged = good.clone();
        damaged.replicas[2].state = ReplicaState::Damaged;
        let mut expired = good.clone();
        expired.expired_at = Some(now());
        let mut part = good.clone();
        part.part = Some("orders".to_owned());
        let behind = backup(1, hour, &[VaultRole::Secondary]);
        for (records, drills, expected, code) in [
            (vec![], vec![], Verdict::NotProtected, "no_backup"),
            (vec![behind], vec![passed.clone()], Verdict::NotProtected, "no_backup"),
            (vec![expired], vec![passed.clone()], Verdict::NotProtected, "no_backup"),
            (vec![part], vec![passed.clone()], Verdict::NotProtected, "no_backup"),
            (
                vec![backup(1, 200 * hour, &VaultRole::ALL)],
                vec![passed.clone()],
                Verdict::NotProtected,
                "backup_far_too_old",
            ),
            (vec![backup(1, 27 * hour, &VaultRole::ALL)], vec![passed.clone()], Verdict::AtRisk, "backup_too_old"),
            (vec![damaged], vec![passed.clone()], Verdict::AtRisk, "region_lacking"),
            (vec![failed, good.clone()], vec![passed], Verdict::AtRisk, "last_backup_failed"),
            (vec![good.clone()], vec![], Verdict::AtRisk, "never_proven"),
            (vec![good.clone()], vec![drill(DrillOutcome::Failed, 1)], Verdict::AtRisk, "drill_failed"),
            (vec![good], vec![drill(DrillOutcome::Passed, 51 * hour)], Verdict::AtRisk, "drill_too_old"),
        ] {
            let (found, codes) = verdict(&records, &drills);
            assert_eq!(found, expected, "{code}: {codes:?}");
            assert!(codes.iter().any(|c| c == code), "{code}: {codes:?}");
        }
    }
}

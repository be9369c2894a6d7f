//! What came of a drill, as the catalog keeps it; and what many of them together show. Pure.

use super::checks::Checked;
use crate::catalog::{Collection, Record, RecordId, Warning};
use crate::clock::Timestamp;
use crate::id::{DrillId, SnapshotId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillOutcome {
    /// It is under way, or was stopped without a word.
    Running,
    /// The backup was restored, and everything that was looked at is what was backed up.
    Passed,
    /// The backup cannot be restored, or is not what it should be.
    Failed,
    /// The drill itself did not come to its end: it says nothing of the backup.
    Broken,
}

/// How much of the backup was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All rows.
    Everything,
    /// The structure, and the rows of some tables, chosen at random: all did not fit.
    Sample,
}

/// One drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillRecord {
    /// Its id.
    pub id: DrillId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub completed_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: DrillOutcome,
    /// Why it failed, or broke.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// The backup.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub backup: Option<SnapshotId>,
    /// The region that it was read from.
    pub region: String,
    /// Into what it was restored.
    pub server: String,
    /// How much was restored.
    pub extent: Extent,
    /// Milliseconds from the beginning of the restore to its proof: the time to recover that was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub recovery_ms: Option<i64>,
    /// Tables whose rows were read back and compared.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Constraints, foreign keys among them, that hold for every row.
    pub constraints: u64,
    /// The owner's checks.
    pub checks: Vec<Checked>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

impl Record for DrillRecord {
    const COLLECTION: Collection = Collection::Drills;
    type Id = DrillId;

    fn id(&self) -> DrillId {
        self.id
    }
}

impl RecordId for DrillId {
    type Record = DrillRecord;
}

/// What the last drills show together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Streak {
    /// Drills that passed since one failed. One that broke says nothing, and does not count.
    pub passed_in_a_row: u64,
    /// With 95 % confidence a restore fails less often than this: the rule of three, 3/n.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub failure_rate_below: Option<f64>,
}

impl Streak {
    /// Of drills, newest first.
    pub fn of<'a>(drills: impl IntoIterator<Item = &'a DrillRecord>) -> Self {
        let said = drills.into_iter().filter(|d| matches!(d.outcome, DrillOutcome::Passed | DrillOutcome::Failed));
        let n = said.take_while(|d| d.outcome == DrillOutcome::Passed).count() as u64;
        // Fewer than three in a row bound nothing.
        Self { passed_in_a_row: n, failure_rate_below: (n >= 3).then(|| 3.0 / n as f64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(outcome: DrillOutcome) -> DrillRecord {
        DrillRecord {
            id: "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id"),
            started_at: Timestamp::from_millis(0),
            completed_at: None,
            outcome,
            error: None,
            backup: None,
            region: String::new(),
            server: String::new(),
            extent: Extent::Everything,
            recovery_ms: None,
            tables: 0,
            rows: 0,
            bytes: 0,
            constraints: 0,
            checks: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_streak_counts_what_passed_since_the_last_failure_and_bounds_what_is_to_come() {
        use DrillOutcome::{Broken, Failed, Passed, Running};
        let streak = |outcomes: &[DrillOutcome]| {
            let drills: Vec<DrillRecord> = outcomes.iter().map(|o| drill(*o)).collect();
            let streak = Streak::of(&drills);
            (streak.passed_in_a_row, streak.failure_rate_below)
        };
        assert_eq!(streak(&[]), (0, None));
        assert_eq!(streak(&[Failed, Passed, Passed, Passed]), (0, None));
        assert_eq!(streak(&[Passed, Passed, Failed, Passed]), (2, None));
        assert_eq!(streak(&[Running, Passed, Broken, Passed, Passed, Failed]), (3, Some(1.0)));
        assert_eq!(streak(&[Passed; 30]), (30, Some(0.1)));
    }
}

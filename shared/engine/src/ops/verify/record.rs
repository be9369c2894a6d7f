//! What a run of `verify` looked at and found, as the catalog keeps it.

use crate::catalog::{Collection, Finding, Record, RecordId};
use crate::clock::Timestamp;
use crate::id::{SnapshotId, VerificationId};
use crate::limits::{REPORT_FINDINGS_KEPT, REPORTS_KEPT};
use crate::vault::VaultPlace;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyOutcome {
    /// It is under way, or was stopped without a word.
    Running,
    /// Everything that was due was looked at.
    Done,
    /// The time was up; the next run reads the rest.
    OutOfTime,
    /// It stopped at an error: what it found until then stands.
    Failed,
}

/// What was found of one snapshot in one vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotReport {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The vault.
    #[serde(flatten)]
    pub place: VaultPlace,
    /// Objects that its inventory names, and itself; 0 without a readable inventory.
    pub objects: u64,
    /// What is wrong; nothing, most times.
    pub findings: Vec<Finding>,
}

/// What was looked at in one vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultReading {
    /// Where.
    #[serde(flatten)]
    pub place: VaultPlace,
    /// Snapshots that it holds, or should.
    pub snapshots: u64,
    /// Objects that they need, each once, whose length, checksum and lock were looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests, schema archives, segments and objects of Storage that were opened.
    pub read: u64,
    /// The bytes that were fetched for that.
    pub read_bytes: u64,
    /// What is wrong, over all snapshots.
    pub findings: u64,
}

impl VaultReading {
    pub(super) fn new(place: VaultPlace) -> Self {
        Self { place, snapshots: 0, objects: 0, bytes: 0, read: 0, read_bytes: 0, findings: 0 }
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationRecord {
    /// Its id.
    pub id: VerificationId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: VerifyOutcome,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Days in which everything is read once.
    pub rotation_days: u32,
    /// The shares of all hours before this one were read, counted from 1970.
    pub read_to_hour: i64,
    /// Hours whose shares are due and were not read.
    pub hours_behind: u64,
    /// The vaults, primary first.
    pub vaults: Vec<VaultReading>,
    /// The snapshots and vaults with findings, the first of them.
    pub reports: Vec<SnapshotReport>,
}

impl Record for VerificationRecord {
    const COLLECTION: Collection = Collection::Verifications;
    type Id = VerificationId;

    fn id(&self) -> VerificationId {
        self.id
    }
}

impl RecordId for VerificationId {
    type Record = VerificationRecord;
}

impl VerificationRecord {
    /// Keeps what was found.
    pub(super) fn note(&mut self, reports: &[SnapshotReport]) {
        for vault in &mut self.vaults {
            let of_vault = reports.iter().filter(|r| r.place == vault.place);
            (vault.snapshots, vault.findings) = (0, 0);
            for report in of_vault {
                vault.snapshots += 1;
                vault.findings += report.findings.len() as u64;
            }
        }
        let shortened = |report: &SnapshotReport| SnapshotReport {
            findings: Finding::worst(report.findings.clone(), REPORT_FINDINGS_KEPT),
            ..report.clone()
        };
        self.reports = reports.iter().filter(|r| !r.findings.is_empty()).take(REPORTS_KEPT).map(shortened).collect();
    }
}

//! Cleanups: runs of `prune`.

use super::is_stalled;
use engine::catalog::Status;
use engine::clock::Timestamp;
use engine::id::PruneId;
use engine::limits::STALLED_S;
use engine::ops::prune::{Expired, PruneOutcome, PruneRecord, VaultTally};
use engine::retention::{Decision, RetentionPolicy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a cleanup is asked for by.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CleanupRequest {
    /// Only say what would be removed.
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) dry_run: bool,
}

/// What a cleanup would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CleanupPlan {
    /// Backups that would be removed.
    removed: u64,
    /// The policy that says so.
    policy: RetentionPolicy,
    /// What becomes of each backup, and why; oldest first. One that is kept by nothing is removed.
    plan: Vec<Decision>,
}

impl CleanupPlan {
    pub(crate) fn of(policy: RetentionPolicy, plan: Vec<Decision>) -> Self {
        Self { removed: plan.iter().filter(|d| d.expires()).count() as u64, policy, plan }
    }
}

/// A cleanup, as it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CleanupStatus {
    id: PruneId,
    status: Status,
    /// Backups that were removed so far.
    removed: u64,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    completed_at: Option<Timestamp>,
    /// The id of the person who asked for it; none where the schedule did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    requested_by: Option<String>,
    /// Whether something should have been heard of it since.
    stalled: bool,
    /// How it ended.
    outcome: PruneOutcome,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    policy: RetentionPolicy,
    /// The backups that were removed.
    expired: Vec<Expired>,
    /// The vaults, primary first.
    vaults: Vec<VaultTally>,
}

impl CleanupStatus {
    /// As it is seen at an instant.
    pub(crate) fn of(record: PruneRecord, now: Timestamp) -> Self {
        let status = match (record.outcome, record.completed_at) {
            (PruneOutcome::Failed, _) => Status::Failed,
            (_, Some(_)) => Status::Completed,
            (PruneOutcome::Asked, None) => Status::Pending,
            (_, None) => Status::InProgress,
        };
        let silent = match status {
            // It beats only at its ends, and ends when its function does.
            Status::InProgress => now.since(record.started_at) > STALLED_S * 1_000,
            Status::Pending => is_stalled(record.started_at, now),
            _ => false,
        };
        Self {
            id: record.id,
            status,
            removed: record.expired.len() as u64,
            started_at: record.started_at,
            completed_at: record.completed_at,
            requested_by: record.requested_by,
            stalled: silent,
            outcome: record.outcome,
            error: record.error,
            policy: record.policy,
            expired: record.expired,
            vaults: record.vaults,
        }
    }
}

/// A page of cleanups, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CleanupPage {
    pub(crate) cleanups: Vec<CleanupStatus>,
    /// Give this as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_cursor: Option<String>,
}

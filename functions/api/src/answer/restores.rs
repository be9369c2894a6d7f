//! Restores.

use super::is_stalled;
use crate::problem::Problem;
use engine::catalog::{Cancellation, Status};
use engine::clock::Timestamp;
use engine::environment::Environment;
use engine::id::{RestoreId, SnapshotId};
use engine::ops::restore::{Approval, RestorePhase, RestoreProgress, RestoreRecord, RestoreWish, Restored, Wanted};
use engine::scope::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the rows are masked as the policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Masking {
    /// Each column as the policies say.
    Policies,
    /// As they were backed up: for production alone.
    None,
}

/// The specification's `RestoreRequest`, and optional fields of ours.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RestoreRequest {
    /// The id of a backup, or `latest`.
    #[schema(pattern = "^(latest|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$")]
    pub(crate) backup_id: String,
    pub(crate) target_environment: Environment,
    /// With `latest`: the newest backup taken at or before this instant. With an id it must mean the same backup.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub(crate) restore_point: Option<Timestamp>,
    /// What of the backup is restored; everything without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub(crate) include: Option<Scope>,
    /// Of what of that the rows are left out: the tables are made, and stay empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub(crate) exclude: Option<Scope>,
    /// The region of the vault that is read; the first that holds the backup whole without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, max_length = 40)]
    pub(crate) region: Option<String>,
    /// `policies` unless the target is production, which gets everything as it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub(crate) masking: Option<Masking>,
    /// Only say what would be done.
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) dry_run: bool,
    /// The words that a dry run gives, typed by the person: what the target holds is replaced. Without them a target in use is
    /// refused; production always takes them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, max_length = 200)]
    pub(crate) confirmation: Option<String>,
}

impl RestoreRequest {
    pub(crate) fn wish(&self) -> Result<RestoreWish, Problem> {
        let wanted = match self.backup_id.as_str() {
            "latest" => Wanted::Latest,
            id => Wanted::Backup(id.parse::<SnapshotId>().map_err(|e| Problem::bad_request(e.to_string()))?),
        };
        let by_default = self.target_environment != Environment::Production;
        Ok(RestoreWish {
            wanted,
            target_environment: self.target_environment,
            restore_point: self.restore_point,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            region: self.region.clone(),
            masked: self.masking.map_or(by_default, |masking| masking == Masking::Policies),
            confirmation: self.confirmation.clone(),
        })
    }
}

/// A restore, as it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoreStatus {
    id: RestoreId,
    status: Status,
    backup_id: SnapshotId,
    /// The instant that the backup shows.
    taken_at: Timestamp,
    target_environment: Environment,
    /// The region of the vault that is read.
    region: String,
    masked: bool,
    /// Whether what the target holds is replaced.
    replaces: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    restore_point: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    include: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exclude: Option<Scope>,
    /// The id of the person who asked for it.
    requested_by: String,
    /// A second person's consent, where it takes one: it begins when that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    approval: Option<Approval>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cancelled: Option<Cancellation>,
    phase: RestorePhase,
    #[serde(flatten)]
    progress: RestoreProgress,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    completed_at: Option<Timestamp>,
    /// When something was last heard of it.
    heartbeat_at: Timestamp,
    /// Whether something should have been heard of it since.
    stalled: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    restored: Option<Restored>,
}

impl RestoreStatus {
    /// As it is seen at an instant.
    pub(crate) fn of(record: RestoreRecord, now: Timestamp) -> Self {
        let waits = record.waits_for_approval();
        Self {
            stalled: !record.is_settled() && !waits && is_stalled(record.heartbeat_at, now),
            restored: record.restored.filter(|_| record.status == Status::Completed),
            replaces: record.confirmation.is_some(),
            id: record.id,
            status: record.status,
            backup_id: record.backup_id,
            taken_at: record.taken_at,
            target_environment: record.target_environment,
            region: record.region,
            masked: record.masked,
            restore_point: record.restore_point,
            include: record.include,
            exclude: record.exclude,
            requested_by: record.requested_by,
            approval: record.approval,
            cancelled: record.cancelled,
            phase: record.phase,
            progress: record.progress,
            started_at: record.started_at,
            completed_at: record.completed_at,
            heartbeat_at: record.heartbeat_at,
            error: record.error,
        }
    }
}

/// A page of restores, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestorePage {
    pub(crate) restores: Vec<RestoreStatus>,
    /// Give this as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_cursor: Option<String>,
}

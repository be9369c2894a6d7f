//! What is only read: whether all is well, drills, rotations, the audit, the policy.

use crate::person::{Person, Right};
use engine::audit::AuditEntry;
use engine::environment::Environment;
use engine::ops::drill::{DrillRecord, Streak};
use engine::ops::rotate::RotationRecord;
use engine::ops::watch::Protection;
use engine::retention::RetentionPolicy;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether the source is protected, and what the person who asks may do about it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    #[serde(flatten)]
    pub(crate) protection: Protection,
    /// The name of the source.
    pub(crate) source: String,
    /// Who asks.
    pub(crate) you: You,
}

/// Who asks, and what that person may do: so that an app need not offer what would be refused.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct You {
    /// The id of the person.
    id: String,
    /// To make and stop backups.
    back_up: bool,
    /// To restore into these, and to stop that. Production takes a second factor too.
    restore_into: Vec<Environment>,
    /// Whether a second factor was used to sign in.
    second_factor: bool,
    /// To clean up, to pin, to see the policy and the audit.
    administer: bool,
}

impl You {
    /// A person, where some environments can be restored into.
    pub(crate) fn of(person: Person, targets: &[Environment]) -> Self {
        let may = |right| person.require(right).is_ok();
        Self {
            back_up: may(Right::Operate),
            restore_into: targets.iter().copied().filter(|target| may(Right::Restore(*target))).collect(),
            administer: may(Right::Administer),
            second_factor: person.second_factor,
            id: person.id,
        }
    }
}

/// A page of drills, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrillPage {
    pub(crate) drills: Vec<DrillRecord>,
    /// What the last ones show together; on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) streak: Option<Streak>,
    /// Give this as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_cursor: Option<String>,
}

/// A page of rotations of keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RotationPage {
    pub(crate) rotations: Vec<RotationRecord>,
    /// Give this as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_cursor: Option<String>,
}

/// A page of the audit, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditPage {
    pub(crate) entries: Vec<AuditEntry>,
    /// Give this as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_cursor: Option<String>,
}

/// The specification's `BackupConfig`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackupConfig {
    pub(crate) primary_bucket: String,
    pub(crate) secondary_bucket: String,
    pub(crate) tertiary_bucket: String,
    pub(crate) encryption_key_id: String,
    pub(crate) region: String,
    /// In the words of EventBridge, in UTC.
    pub(crate) backup_schedule: String,
    pub(crate) retention_days: u32,
}

/// How the deployment is set up.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    pub(crate) config: BackupConfig,
    /// How long backups are kept.
    pub(crate) retention: RetentionPolicy,
    /// The environments that can be restored into.
    pub(crate) targets: Vec<Environment>,
    /// Seconds that may be lost.
    pub(crate) recovery_point_target_s: i64,
    /// Seconds in which a second person must consent to a restore into production, if one must.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) approval_s: Option<i64>,
}

/// The API answers, and so does the catalog.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    pub(crate) status: &'static str,
}

//! A rotation of keys, as the catalog keeps it.

use crate::catalog::{self, Catalog, Collection, Record, RecordId};
use crate::clock::Timestamp;
use crate::error::{Result, ResultExt};
use crate::id::{AttemptId, RotationId, SnapshotId};
use crate::limits::{CHECKPOINT_KEPT_S, CLOCK_SLACK_S};
use crate::stage::Sha256;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotationState {
    /// Something that is kept was sealed under a former key, or what was sealed again is not whole everywhere.
    Running,
    /// Nothing that is kept needs a former key.
    Done,
}

/// A backup that could not be sealed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotSealed {
    /// Its id.
    pub id: SnapshotId,
    /// Why.
    pub error: String,
}

/// One rotation, over all of its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationRecord {
    /// Its id.
    pub id: RotationId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub completed_at: Option<Timestamp>,
    /// When it last got on.
    pub heartbeat_at: Timestamp,
    /// How far it is.
    pub state: RotationState,
    /// Percent of the bytes that are sealed again, 0 to 100.
    pub percent: u8,
    /// Backups that were sealed again,
    pub backups: u64,
    /// and those that are left.
    pub backups_left: u64,
    /// Backups that are being made, or are not whole in all vaults yet; what they name is looked at when they are.
    pub replicating: u64,
    /// Bytes of packs that were sealed again,
    pub bytes: u64,
    /// and about as many as are left.
    pub bytes_left: u64,
    /// What the last run could not seal again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_sealed: Vec<NotSealed>,
    /// Which backups were looked at: the SHA-256 of their ids.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub of: Option<Sha256>,
}

impl Record for RotationRecord {
    const COLLECTION: Collection = Collection::Rotations;
    type Id = RotationId;

    fn id(&self) -> RotationId {
        self.id
    }
}

impl RecordId for RotationId {
    type Record = RotationRecord;
}

impl RotationRecord {
    pub(super) fn begun(id: RotationId, now: Timestamp) -> Self {
        Self {
            id,
            started_at: now,
            completed_at: None,
            heartbeat_at: now,
            state: RotationState::Running,
            percent: 0,
            backups: 0,
            backups_left: 0,
            replicating: 0,
            bytes: 0,
            bytes_left: 0,
            not_sealed: Vec::new(),
            of: None,
        }
    }

    /// Computes the percentage, which never goes back and is 100 only at the end.
    pub(super) fn measure(&mut self) {
        let all = self.bytes.saturating_add(self.bytes_left);
        let percent = match self.state {
            RotationState::Done => 100,
            RotationState::Running => self.bytes.saturating_mul(99).checked_div(all).unwrap_or(0),
        };
        self.percent = self.percent.max(u8::try_from(percent).unwrap_or(99));
    }
}

/// The rotation that began last.
pub(super) async fn last(catalog: &dyn Catalog) -> Result<Option<RotationRecord>> {
    let page = catalog::list::<RotationRecord>(catalog, None, 1).await.context("look for the last rotation of keys")?;
    Ok(page.records.into_iter().next())
}

/// Since when a rotation is under way, if one is. One of which nothing was heard for a week was given up.
pub(crate) async fn rotating_since(catalog: &dyn Catalog, now: Timestamp) -> Result<Option<Timestamp>> {
    let is_alive = |r: &RotationRecord| r.heartbeat_at.plus_s(CHECKPOINT_KEPT_S) > now;
    Ok(last(catalog).await?.filter(|r| r.state == RotationState::Running && is_alive(r)).map(|r| r.started_at))
}

/// Whether packs and lists of an attempt may be those of a rotation that began then.
pub(crate) fn is_of_rotation(attempt: AttemptId, since: Timestamp) -> bool {
    attempt.made_at().plus_s(CLOCK_SLACK_S) >= since
}

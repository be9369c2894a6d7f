//! One restore's record, and the rules by which it may change. Pure.

use super::progress::{RestorePhase, RestoreProgress};
use super::{Replace, RestoreRequest, Restored, Selection};
use crate::catalog::{AttemptRecord, CANCELLED, Cancellation, Collection, Record, RecordId, Status, Warning};
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::{AttemptId, RestoreId, SnapshotId};
use crate::limits::{LEASE_TTL_S, RESTORE_HAND_OVERS_MAX, RESTORE_IDLE_MAX, RESTORE_WARNINGS_KEPT};
use crate::scope::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A second person's consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// It must be given before this instant.
    pub until: Timestamp,
    /// When it was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub at: Option<Timestamp>,
    /// The id of the person who gave it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub by: Option<String>,
}

/// One restore that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRecord {
    /// Its id.
    pub id: RestoreId,
    /// The backup.
    pub backup_id: SnapshotId,
    /// The instant that the backup shows.
    pub taken_at: Timestamp,
    /// What it is restored into.
    pub target_environment: Environment,
    /// The instant that was asked for, if one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restore_point: Option<Timestamp>,
    /// The region of the vault that is read.
    pub region: String,
    /// What of the backup; everything without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub include: Option<Scope>,
    /// Of what of that the rows are left out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exclude: Option<Scope>,
    /// Whether it is for people who may not see everything.
    pub masked: bool,
    /// The words that were typed to confirm that what the target holds is replaced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmation: Option<String>,
    /// The id of the person who asked for it.
    pub requested_by: String,
    /// A second person's consent, where it takes one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<Approval>,
    /// Whether a person wants it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cancelled: Option<Cancellation>,
    /// The status, in the words of the specification.
    pub status: Status,
    /// What is being done.
    pub phase: RestorePhase,
    /// How far it is.
    #[serde(flatten)]
    pub progress: RestoreProgress,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it completed or failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<Timestamp>,
    /// When this record last heard of work being done.
    pub heartbeat_at: Timestamp,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The run that works on it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt: Option<AttemptRecord>,
    /// Whether no run works on it until the next order is taken up.
    #[serde(default)]
    pub waits: bool,
    /// How often it was handed over to another invocation,
    #[serde(default)]
    pub hand_overs: u32,
    /// and how often in a row without having come further.
    #[serde(default)]
    pub idle: u32,
    /// What came of it; of a restore that is not completed: what was proven, before it was shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restored: Option<Restored>,
}

impl Record for RestoreRecord {
    const COLLECTION: Collection = Collection::Restores;
    type Id = RestoreId;

    fn id(&self) -> RestoreId {
        self.id
    }
}

impl RecordId for RestoreId {
    type Record = RestoreRecord;
}

impl RestoreRecord {
    /// Whether nothing more will be done.
    pub fn is_settled(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    /// Whether it waits for a second person's consent.
    pub fn waits_for_approval(&self) -> bool {
        self.status == Status::Pending && self.approval.as_ref().is_some_and(|a| a.at.is_none())
    }

    /// What it asks of the operation.
    pub fn request(&self, deadline: Option<Timestamp>) -> RestoreRequest {
        let replace = self.confirmation.as_ref().map(|confirmation| Replace {
            environment: self.target_environment.to_string(),
            confirmation: confirmation.clone(),
            needs_safety_snapshot: self.target_environment == Environment::Production,
        });
        RestoreRequest {
            scope: self.include.clone(),
            exclude: self.exclude.clone(),
            masked: self.masked,
            replace,
            deadline,
            ..Selection::Snapshot(self.backup_id).into()
        }
    }

    /// A second person consents.
    ///
    /// # Errors
    /// `Conflict` when it needs no consent, has it, or is too late; `Denied` when it is the same person.
    pub fn approve(&mut self, by: &str, now: Timestamp) -> Result<()> {
        let id = self.id;
        if !self.waits_for_approval() {
            return Err(Error::conflict(format!("restore {id} does not wait for anybody's consent")));
        }
        if self.requested_by == by {
            return Err(Error::denied(format!(
                "restore {id} takes the consent of another person than who asked for it"
            )));
        }
        let Some(approval) = &mut self.approval else { return Ok(()) };
        if approval.until <= now {
            return Err(Error::conflict(format!(
                "restore {id} could be approved until {}; ask for another",
                approval.until
            )));
        }
        (approval.at, approval.by) = (Some(now), Some(by.to_owned()));
        self.heartbeat_at = self.heartbeat_at.max(now);
        Ok(())
    }

    /// A run begins to work on it.
    ///
    /// # Errors
    /// `Conflict` when it is settled, waits for consent, or a newer run has begun.
    pub fn begin(&mut self, attempt: AttemptRecord, now: Timestamp) -> Result<()> {
        self.require_open()?;
        if self.waits_for_approval() {
            return Err(Error::conflict(format!("restore {} waits for the consent of a second person", self.id)));
        }
        if let Some(current) = self.attempt.filter(|current| current.epoch > attempt.epoch) {
            return Err(Error::conflict(format!("a newer run (epoch {}) works on restore {}", current.epoch, self.id)));
        }
        // The same lease: an order that came twice.
        if self.attempt.is_some_and(|a| a.epoch == attempt.epoch) && self.is_worked_on(now) {
            return Err(Error::conflict(format!("another run works on restore {} at the moment", self.id)));
        }
        self.attempt = Some(attempt);
        self.waits = false;
        self.status = Status::InProgress;
        self.heartbeat_at = self.heartbeat_at.max(now);
        Ok(())
    }

    /// Whether a run works on it, as far as its last word tells.
    pub fn is_worked_on(&self, now: Timestamp) -> bool {
        let beats = now.since(self.heartbeat_at) < LEASE_TTL_S * 1_000;
        self.status == Status::InProgress && self.attempt.is_some() && !self.waits && beats
    }

    /// A run tells how far it is. A run that goes on with what another left begins anew with the phases, and the percentage stays.
    ///
    /// # Errors
    /// `Conflict` when another run works on it, or it is settled.
    pub fn advance(
        &mut self,
        attempt: AttemptId,
        phase: RestorePhase,
        progress: RestoreProgress,
        now: Timestamp,
    ) -> Result<()> {
        self.require_open()?;
        self.require_attempt(attempt)?;
        let before = self.progress;
        self.progress = progress;
        self.progress.percent = progress.percent.max(before.percent);
        self.progress.rows = progress.rows.max(before.rows);
        self.progress.bytes = progress.bytes.max(before.bytes);
        self.phase = self.phase.max(phase);
        self.heartbeat_at = self.heartbeat_at.max(now);
        Ok(())
    }

    /// A run leaves the rest to another. `came_further` says whether it did more than those before it.
    ///
    /// # Errors
    /// `Exhausted` when the last runs got no further than those before them; `Conflict` as [`Self::advance`].
    pub fn hand_over(&mut self, attempt: AttemptId, came_further: bool, now: Timestamp) -> Result<()> {
        self.require_open()?;
        self.require_attempt(attempt)?;
        self.hand_overs += 1;
        self.waits = true;
        self.idle = if came_further { 0 } else { self.idle + 1 };
        self.heartbeat_at = self.heartbeat_at.max(now);
        if self.idle >= RESTORE_IDLE_MAX || self.hand_overs >= RESTORE_HAND_OVERS_MAX {
            return Err(Error::exhausted(format!(
                "the last {} of {} invocations came no further than those before them; give the function more time or memory",
                self.idle, self.hand_overs
            )));
        }
        Ok(())
    }

    /// All that was wanted is proven, and only to be shown yet. From now on it is not cancelled.
    ///
    /// # Errors
    /// `Conflict` when it was cancelled before; as [`Self::advance`].
    pub fn note(&mut self, attempt: AttemptId, restored: Restored, wanted: RestoreProgress) -> Result<()> {
        self.require_open()?;
        self.require_attempt(attempt)?;
        if self.cancelled.is_some() {
            return Err(Error::conflict(format!("restore {} was cancelled", self.id)));
        }
        // A quick one has not told how far it is before it is done.
        self.progress.tables_total = wanted.tables_total;
        self.progress.rows_total = wanted.rows_total;
        self.progress.bytes_total = wanted.bytes_total;
        self.restored = Some(few_warnings(restored));
        Ok(())
    }

    /// It is restored and proven.
    ///
    /// # Errors
    /// `Conflict` as [`Self::advance`].
    pub fn complete(&mut self, attempt: AttemptId, restored: Restored, now: Timestamp) -> Result<()> {
        self.require_open()?;
        self.require_attempt(attempt)?;
        self.progress.percent = 100;
        self.progress.rows = restored.rows;
        self.progress.bytes = restored.bytes;
        self.restored = Some(few_warnings(restored));
        self.settle(Status::Completed, now);
        Ok(())
    }

    /// It cannot be done, or a person wants it stopped. Does nothing to one that is settled.
    pub fn abandon(&mut self, reason: &str, now: Timestamp) -> bool {
        if self.is_settled() {
            return false;
        }
        self.error = Some(if self.cancelled.is_some() { CANCELLED.to_owned() } else { reason.to_owned() });
        self.settle(Status::Failed, now);
        true
    }

    /// A person wants it stopped: it fails at once if no run works on it yet, and else as soon as that looks. Answers whether that
    /// was news.
    ///
    /// # Errors
    /// `Conflict` when it is settled.
    pub fn cancel(&mut self, by: &str, now: Timestamp) -> Result<bool> {
        // Asked once more, because the answer was lost.
        if self.cancelled.as_ref().is_some_and(|c| c.by == by) {
            return Ok(false);
        }
        self.require_open()?;
        if self.restored.is_some() {
            return Err(Error::conflict(format!(
                "restore {} is proven, and being put in its place: it cannot be stopped",
                self.id
            )));
        }
        if self.cancelled.is_some() {
            return Ok(false);
        }
        self.cancelled = Some(Cancellation { at: now, by: by.to_owned() });
        if self.attempt.is_none() || self.waits {
            self.abandon(CANCELLED, now);
        }
        Ok(true)
    }

    fn settle(&mut self, status: Status, now: Timestamp) {
        self.status = status;
        self.phase = RestorePhase::Done;
        self.completed_at = Some(now);
        self.heartbeat_at = self.heartbeat_at.max(now);
    }

    fn require_open(&self) -> Result<()> {
        if self.is_settled() {
            return Err(Error::conflict(format!("restore {} is settled already", self.id)));
        }
        Ok(())
    }

    fn require_attempt(&self, attempt: AttemptId) -> Result<()> {
        match self.attempt {
            Some(current) if current.id == attempt => Ok(()),
            _ => Err(Error::conflict(format!("run {attempt} no longer works on restore {}", self.id))),
        }
    }
}

/// As many warnings as fit into a record.
fn few_warnings(mut restored: Restored) -> Restored {
    let more = restored.warnings.len().saturating_sub(RESTORE_WARNINGS_KEPT);
    if more > 0 {
        for Warning { code, message } in restored.warnings.drain(RESTORE_WARNINGS_KEPT..) {
            tracing::warn!(code, message, "the restore warns");
        }
        let message = format!("{more} more warnings are in the log of `restore`");
        restored.warnings.push(Warning { code: "more_warnings".to_owned(), message });
    }
    restored
}

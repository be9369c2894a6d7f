//! One backup's record, and the rules by which it may change. Pure.

use super::document::{Collection, Record, RecordId};
use super::finding::Finding;
use super::progress::Progress;
use super::replica::{Replica, ReplicaState};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AttemptId, SnapshotId};
use crate::limits::{FINDINGS_KEPT, HAND_OVERS_IDLE_MAX, LEASE_TTL_S};
use crate::stage::Sha256;
use crate::vault::{VaultPlace, VaultRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a backup failed that a person stopped.
pub const CANCELLED: &str = "it was cancelled";

/// The four statuses of the specification. They never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Asked for.
    Pending,
    /// Being made, or being replicated.
    InProgress,
    /// In all three vaults, whole.
    Completed,
    /// Not made.
    Failed,
}

/// What is being done while the status is `in_progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Checking the vault, the key and the source; nothing is written yet.
    Preparing,
    /// Rows are read, sealed and stored.
    Copying,
    /// Schema, manifest and inventory are stored.
    Committing,
    /// Complete in the primary vault; on its way to the others.
    Replicating,
    /// Nothing more is done.
    Done,
}

/// What asked for the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The schedule.
    Schedule,
    /// A person.
    Manual,
    /// Found in a vault, when the catalog was rebuilt.
    Rebuilt,
}

/// How often a backup was handed over to another invocation of the function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOvers {
    /// How often.
    pub count: u32,
    /// The most bytes of the source's disk that any attempt had covered at its end.
    pub disk_bytes: u64,
    /// Since so many attempts that has not grown.
    pub idle: u32,
    /// Whether nobody works on it until the next order is taken up.
    #[serde(default)]
    pub waits: bool,
}

/// Something that a person should know, and that did not stop the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// Which rule it comes from, such as `role_password`.
    pub code: String,
    /// One sentence: what, where, what to do.
    pub message: String,
}

/// How far a snapshot was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// The hour of the rotation at which it was first looked at: one round later, all of it was read.
    pub from_hour: i64,
    /// Since when all of it was read at least once, and is what was backed up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub read_at: Option<Timestamp>,
}

/// What came of the last drill of a backup that said anything of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drilled {
    /// When it ended.
    pub at: Timestamp,
    /// The region that the backup was read from.
    pub region: String,
    /// Whether it was restored, and is what was backed up.
    pub passed: bool,
    /// Whether all of its rows were.
    pub whole: bool,
    /// Milliseconds that it took to recover.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub recovery_ms: Option<i64>,
    /// Rows that were restored.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The attempt that makes the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// Its id, which its packs carry.
    pub id: AttemptId,
    /// Its fencing epoch.
    pub epoch: u64,
}

/// What was made, once the inventory is in the primary vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSummary {
    /// The instant that the snapshot shows.
    pub taken_at: Timestamp,
    /// Bytes stored in each vault for this snapshot, all objects together.
    pub size: u64,
    /// The SHA-256 of the inventory, which names every other object with its own.
    pub checksum: Sha256,
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of rows before compression.
    pub bytes: u64,
    /// The compression, such as `zstd`.
    pub compression: String,
    /// The key of the inventory.
    pub path: String,
}

/// A person's wish that a backup be kept, whatever the policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// Since when.
    pub at: Timestamp,
    /// Why, in the person's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub note: Option<String>,
}

/// A person's wish that something be stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    /// Since when.
    pub at: Timestamp,
    /// The id of the person.
    pub by: String,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRecord {
    /// Its id.
    pub id: SnapshotId,
    /// What is backed up.
    pub source: String,
    /// What asked for it.
    pub trigger: Trigger,
    /// The part that was asked for; everything without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<String>,
    /// The id of the person who asked for it, if one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub requested_by: Option<String>,
    /// Whether a person wants it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cancelled: Option<Cancellation>,
    /// The status of the specification.
    pub status: Status,
    /// What is being done.
    pub phase: Phase,
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
    /// The attempt that makes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt: Option<AttemptRecord>,
    /// How often it was handed over.
    #[serde(default)]
    pub hand_overs: HandOvers,
    /// How far it is.
    pub progress: Progress,
    /// Why everything was read, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub full_reason: Option<String>,
    /// What was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<SnapshotSummary>,
    /// The three regions, primary first.
    pub replicas: Vec<Replica>,
    /// What a person should know.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Whether a person wants it kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pin: Option<Pin>,
    /// How far it was read back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verified: Option<Verified>,
    /// The last drill.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drilled: Option<Drilled>,
    /// The same backup as it was sealed again, under another key: that one is restored from now on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub superseded_by: Option<SnapshotId>,
    /// Since when it can no longer be restored, because the policy let it go.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expired_at: Option<Timestamp>,
}

impl Record for SnapshotRecord {
    const COLLECTION: Collection = Collection::Backups;
    type Id = SnapshotId;

    fn id(&self) -> SnapshotId {
        self.id
    }
}

impl RecordId for SnapshotId {
    type Record = SnapshotRecord;
}

impl SnapshotRecord {
    /// A backup that was asked for.
    pub fn pending(id: SnapshotId, source: String, trigger: Trigger, now: Timestamp, places: &[VaultPlace]) -> Self {
        let replica = |place: &VaultPlace| Replica {
            place: place.clone(),
            state: ReplicaState::Pending,
            completed_at: None,
            verified_at: None,
            findings: Vec::new(),
        };
        Self {
            id,
            source,
            trigger,
            part: None,
            requested_by: None,
            cancelled: None,
            status: Status::Pending,
            phase: Phase::Preparing,
            started_at: now,
            completed_at: None,
            heartbeat_at: now,
            error: None,
            attempt: None,
            hand_overs: HandOvers::default(),
            progress: Progress::default(),
            full_reason: None,
            summary: None,
            replicas: places.iter().map(replica).collect(),
            warnings: Vec::new(),
            pin: None,
            verified: None,
            drilled: None,
            superseded_by: None,
            expired_at: None,
        }
    }

    /// Whether nothing more will be done.
    pub fn is_settled(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    /// An attempt begins to work on it.
    ///
    /// # Errors
    /// `Conflict` when it is settled, or a newer attempt has begun.
    pub fn begin(&mut self, attempt: AttemptRecord, now: Timestamp) -> Result<()> {
        self.require_open()?;
        if let Some(current) = self.attempt.filter(|current| current.epoch > attempt.epoch) {
            return Err(Error::conflict(format!(
                "a newer attempt (epoch {}) works on backup {}",
                current.epoch, self.id
            )));
        }
        // The same lease: an order that came twice.
        if self.attempt.is_some_and(|a| a.epoch == attempt.epoch) && self.is_worked_on(now) {
            return Err(Error::conflict(format!("another invocation works on backup {} at the moment", self.id)));
        }
        self.attempt = Some(attempt);
        self.hand_overs.waits = false;
        self.status = Status::InProgress;
        self.heartbeat_at = self.heartbeat_at.max(now);
        Ok(())
    }

    /// Whether an attempt works on it, as far as its last word tells.
    pub fn is_worked_on(&self, now: Timestamp) -> bool {
        let beats = now.since(self.heartbeat_at) < LEASE_TTL_S * 1_000;
        self.status == Status::InProgress && self.attempt.is_some() && !self.hand_overs.waits && beats
    }

    /// An attempt is out of time, and leaves the rest to another. It had covered `disk_bytes` of `total` on the source's disk.
    ///
    /// # Errors
    /// `Exhausted` when the last attempts got no further than those before them; `Conflict` as [`Self::advance`].
    pub fn hand_over(&mut self, attempt: AttemptId, disk_bytes: u64, total: u64, now: Timestamp) -> Result<()> {
        self.require_open()?;
        self.require_attempt(attempt)?;
        let past = &mut self.hand_overs;
        if disk_bytes > past.disk_bytes {
            (past.disk_bytes, past.idle) = (disk_bytes, 0);
        } else {
            past.idle += 1;
        }
        past.count += 1;
        past.waits = true;
        if past.idle >= HAND_OVERS_IDLE_MAX {
            let mb = |bytes: u64| bytes / 1_000_000;
            return Err(Error::exhausted(format!(
                "the source changes faster than it is copied: of {} invocations the last {} ended with at most {} MB of {} MB \
                 copied, as one before them had; give the function more time or memory, or more sessions",
                past.count,
                past.idle,
                mb(past.disk_bytes),
                mb(total)
            )));
        }
        self.heartbeat_at = self.heartbeat_at.max(now);
        Ok(())
    }

    /// An attempt tells how far it is.
    ///
    /// # Errors
    /// `Conflict` when another attempt works on it, or it is settled.
    pub fn advance(&mut self, attempt: AttemptId, phase: Phase, progress: Progress, now: Timestamp) -> Result<()> {
        self.require_open()?;
        self.require_attempt(attempt)?;
        let mut progress = progress;
        progress.percent = progress.percent.max(self.progress.percent);
        self.progress = progress;
        self.phase = self.phase.max(phase);
        self.heartbeat_at = self.heartbeat_at.max(now);
        Ok(())
    }

    /// The snapshot is whole in the primary vault.
    ///
    /// # Errors
    /// `Conflict` when another attempt works on it, or it failed.
    pub fn commit(
        &mut self,
        attempt: AttemptId,
        summary: SnapshotSummary,
        warnings: Vec<Warning>,
        now: Timestamp,
    ) -> Result<()> {
        self.require_attempt(attempt)?;
        if self.status == Status::Failed {
            return Err(Error::conflict(format!("backup {} was given up before it was committed", self.id)));
        }
        self.status = self.status.max(Status::InProgress);
        self.phase = self.phase.max(Phase::Replicating);
        self.progress.tables_total = summary.tables;
        self.progress.tables = summary.tables;
        self.progress.rows = summary.rows;
        self.progress.bytes = summary.bytes;
        self.summary = Some(summary);
        self.warnings = warnings;
        self.mark_complete(VaultRole::Primary, now);
        Ok(())
    }

    /// A region holds the whole snapshot: every object that was not there was put. Answers whether that was news.
    pub fn mark_complete(&mut self, role: VaultRole, now: Timestamp) -> bool {
        let (mut news, before) = (false, self.status);
        for replica in self.replicas.iter_mut().filter(|r| r.place.role == role && r.state != ReplicaState::Complete) {
            replica.findings.retain(|f| !f.code.is_repaired_by_putting());
            if replica.findings.iter().any(|f| f.code.is_damage()) {
                continue;
            }
            replica.state = ReplicaState::Complete;
            replica.completed_at = Some(now);
            news = true;
        }
        self.settle(now);
        news || self.status != before
    }

    /// What `verify` found in a region. Where reading tells, what was found before stays unless it was `read` again. Answers
    /// whether the region became damaged, or is no longer.
    pub fn mark_verified(
        &mut self,
        role: VaultRole,
        found: Vec<Finding>,
        read: impl Fn(&Finding) -> bool,
        now: Timestamp,
    ) -> bool {
        let mut news = false;
        for replica in self.replicas.iter_mut().filter(|r| r.place.role == role && r.state.is_promised()) {
            let stays = |f: &Finding| f.takes_reading() && !read(f) && !found.contains(f);
            let mut findings: Vec<Finding> = replica.findings.drain(..).filter(stays).collect();
            findings.extend(found.iter().cloned());
            let damaged = findings.iter().any(|f| f.code.is_damage());
            news |= damaged != (replica.state == ReplicaState::Damaged);
            replica.state = if damaged { ReplicaState::Damaged } else { ReplicaState::Complete };
            replica.findings = Finding::worst(findings, FINDINGS_KEPT);
            replica.verified_at = Some(now);
        }
        self.settle(now);
        news
    }

    /// It cannot be made. Does nothing to one that is settled or whole in the primary vault.
    pub fn fail(&mut self, error: impl Into<String>, now: Timestamp) -> bool {
        if self.is_settled() || self.summary.is_some() {
            return false;
        }
        self.status = Status::Failed;
        self.phase = Phase::Done;
        self.error = Some(error.into());
        self.completed_at = Some(now);
        self.heartbeat_at = self.heartbeat_at.max(now);
        true
    }

    /// A person wants it stopped: it fails at once if nobody works on it yet, and else as soon as whoever does looks. Answers
    /// whether that was news.
    ///
    /// # Errors
    /// `Conflict` when it is settled, or whole in the primary vault.
    pub fn cancel(&mut self, by: &str, now: Timestamp) -> Result<bool> {
        // Asked once more, because the answer was lost.
        if self.cancelled.as_ref().is_some_and(|c| c.by == by) {
            return Ok(false);
        }
        self.require_open()?;
        if self.summary.is_some() {
            return Err(Error::conflict(format!(
                "backup {} is whole in the primary vault already, and only on its way to the others",
                self.id
            )));
        }
        if self.cancelled.is_some() {
            return Ok(false);
        }
        self.cancelled = Some(Cancellation { at: now, by: by.to_owned() });
        if self.attempt.is_none() {
            self.fail(CANCELLED, now);
        }
        Ok(true)
    }

    /// Nobody will do more: it fails, because a person wanted that, or else for this reason.
    pub fn abandon(&mut self, reason: &str, now: Timestamp) -> bool {
        let reason = if self.cancelled.is_some() { CANCELLED } else { reason };
        self.fail(reason, now)
    }

    /// A person wants it kept, or no longer does. Answers whether that was news.
    ///
    /// # Errors
    /// `Conflict` when it failed, or the policy has let it go already.
    pub fn set_pin(&mut self, pin: Option<Pin>) -> Result<bool> {
        if self.status == Status::Failed || self.expired_at.is_some() {
            return Err(Error::conflict(format!("of backup {} there is nothing that could be kept", self.id)));
        }
        let news = self.pin.as_ref().map(|p| &p.note) != pin.as_ref().map(|p| &p.note);
        if news {
            self.pin = pin;
        }
        Ok(news)
    }

    /// The policy lets it go: from now on it is not to be restored. Answers whether that was news.
    ///
    /// # Errors
    /// `Conflict` when a person has pinned it meanwhile, or it is not settled.
    pub fn expire(&mut self, now: Timestamp) -> Result<bool> {
        if self.pin.is_some() {
            return Err(Error::conflict(format!("backup {} was pinned", self.id)));
        }
        if !self.is_settled() {
            return Err(Error::conflict(format!("backup {} is not settled", self.id)));
        }
        let news = self.expired_at.is_none();
        self.expired_at.get_or_insert(now);
        Ok(news)
    }

    /// It is another, that was sealed again: what that one was asked for and told of its making is this one's too.
    pub fn continue_from(&mut self, before: &Self) {
        if before.superseded_by.is_none() {
            self.trigger = before.trigger;
            self.part.clone_from(&before.part);
            self.hand_overs = before.hand_overs;
            self.progress = Progress { percent: self.progress.percent, ..before.progress };
            self.full_reason.clone_from(&before.full_reason);
            self.warnings.clone_from(&before.warnings);
        }
        if self.pin.is_none() {
            self.pin.clone_from(&before.pin);
        }
    }

    /// `completed` when it is whole in all three vaults; the percentage says how many replicas are there.
    fn settle(&mut self, now: Timestamp) {
        if self.status == Status::Failed || self.summary.is_none() {
            return;
        }
        let whole = self.replicas.iter().filter(|r| r.state == ReplicaState::Complete).count();
        self.heartbeat_at = self.heartbeat_at.max(now);
        if whole == self.replicas.len() && self.status != Status::Completed {
            self.status = Status::Completed;
            self.phase = Phase::Done;
            self.completed_at = Some(now);
            self.progress.percent = 100;
        } else {
            let percent = 85 + 14 * whole / self.replicas.len().max(1);
            self.progress.percent = self.progress.percent.max(u8::try_from(percent).unwrap_or(99));
        }
    }

    fn require_open(&self) -> Result<()> {
        if self.is_settled() {
            return Err(Error::conflict(format!("backup {} is settled already", self.id)));
        }
        Ok(())
    }

    fn require_attempt(&self, attempt: AttemptId) -> Result<()> {
        match self.attempt {
            Some(current) if current.id == attempt => Ok(()),
            _ => Err(Error::conflict(format!("attempt {attempt} no longer works on backup {}", self.id))),
        }
    }
}

#[cfg(test)]
mod tests;

//! The port on the queues of work: what was asked for, until a function takes it up.
//!
//! An order names a record of the catalog, or makes one; whatever it says of it can be doubled or come late. So whoever takes one
//! looks at the record first.

use crate::catalog::Trigger;
use crate::error::Result;
use crate::id::{PruneId, RestoreId, SnapshotId};
use serde::{Deserialize, Serialize};

/// As the part to be read: all of the source, also what is not due by its class.
pub const EVERYTHING: &str = "all";

/// What starts `backup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupOrder {
    /// What asks.
    pub trigger: Trigger,
    /// A backup whose record is there already; a new one without.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup_id: Option<SnapshotId>,
    /// The part that is to be read now: a class of data, a schema, a table, a bucket, or [`EVERYTHING`]; whatever is due
    /// without it. What the rest held at the last
    /// backup is in the new one too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// How often that backup had been handed over when this was sent. An order that comes again finds another number.
    #[serde(default)]
    pub hand_overs: u32,
}

impl BackupOrder {
    /// For a new backup.
    pub fn new(trigger: Trigger) -> Self {
        Self { trigger, backup_id: None, source: None, hand_overs: 0 }
    }
}

/// What starts, or goes on with, a restore that has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreOrder {
    /// Which.
    pub restore_id: RestoreId,
    /// How often that restore had been handed over when this was sent.
    #[serde(default)]
    pub hand_overs: u32,
}

/// What starts a run of `prune` that has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PruneOrder {
    /// Which.
    pub prune_id: PruneId,
}

/// Where orders of one kind wait for an invocation.
#[async_trait::async_trait]
pub trait Queue<O>: Send + Sync {
    /// Puts an order in, which is delivered `after_s` seconds from now at the earliest, at most [`crate::limits::QUEUE_DELAY_MAX_S`].
    /// It may be delivered more than once.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, or `NotFound` when there is no such queue.
    async fn send(&self, order: &O, after_s: u32) -> Result<()>;
}

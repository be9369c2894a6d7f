//! The port on the queue of work for `backup`.

use crate::catalog::Trigger;
use crate::error::Result;
use crate::id::SnapshotId;
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

/// Where orders wait for an invocation.
#[async_trait::async_trait]
pub trait BackupQueue: Send + Sync {
    /// Puts an order in. It may be delivered more than once.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, or `NotFound` when there is no such queue.
    async fn send(&self, order: &BackupOrder) -> Result<()>;
}

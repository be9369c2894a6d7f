//! What is wrong with a snapshot in one vault.

use crate::layout::ObjectKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Kinds of damage. Each has one meaning and one thing to do, which `docs/runbook.md` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// The vault should hold the snapshot, and there is no inventory of it.
    NoInventory,
    /// An object that the inventory names is not there.
    Missing,
    /// An object is hidden by a delete marker.
    Hidden,
    /// An object is shorter than the inventory says.
    Truncated,
    /// The store holds another object than the inventory names, or the inventory is not the one that was written.
    Altered,
    /// Its lock ends before the days of the snapshot do.
    LockEndsEarly,
    /// The store gives other bytes than it took.
    Rotten,
    /// The bytes are those that were stored, and do not open, or not to what the manifest says.
    Unreadable,
    /// The key service refuses to unwrap the data key.
    KeyRefused,
    /// The data key was wrapped by another key than this deployment's.
    OtherKey,
    /// It is of a newer format than this version reads.
    NewerFormat,
    /// The manifest and the inventory do not list the same.
    ListsDiffer,
}

impl FindingCode {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NoInventory,
        Self::Missing,
        Self::Hidden,
        Self::Truncated,
        Self::Altered,
        Self::LockEndsEarly,
        Self::Rotten,
        Self::Unreadable,
        Self::KeyRefused,
        Self::OtherKey,
        Self::NewerFormat,
        Self::ListsDiffer,
    ];

    /// Whether putting what is not there puts it right.
    pub fn is_repaired_by_putting(self) -> bool {
        matches!(self, Self::NoInventory | Self::Missing | Self::Hidden)
    }

    /// Whether a restore from this vault would fail.
    pub fn is_damage(self) -> bool {
        self != Self::LockEndsEarly
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Its kind.
    pub code: FindingCode,
    /// The object.
    #[schema(value_type = String)]
    pub object: ObjectKey,
    /// One sentence.
    pub message: String,
}

impl Finding {
    /// Whether only reading the bytes tells: a look at what the store says of them does not.
    pub fn takes_reading(&self) -> bool {
        use FindingCode::{KeyRefused, ListsDiffer, NewerFormat, OtherKey, Rotten, Unreadable};
        match self.code {
            Rotten | Unreadable | KeyRefused | OtherKey | ListsDiffer => true,
            // Inventories are read each time.
            NewerFormat => !matches!(self.object, ObjectKey::Inventory(_)),
            _ => false,
        }
    }

    /// At most so many: first what nothing puts right by itself, last what spoils no restore.
    pub fn worst(mut findings: Vec<Self>, count: usize) -> Vec<Self> {
        findings.sort_by(|a, b| {
            let rank = |f: &Self| (!f.code.is_damage(), f.code.is_repaired_by_putting());
            rank(a).cmp(&rank(b)).then_with(|| a.cmp(b))
        });
        findings.truncate(count);
        findings
    }
}

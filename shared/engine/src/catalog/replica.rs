//! A backup's copy in one region, as its record has it.

use super::finding::Finding;
use crate::clock::Timestamp;
use crate::vault::VaultPlace;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A snapshot's copy in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Not known to be whole.
    Pending,
    /// Inventory, manifest, schema and every pack are there, by checksum.
    Complete,
    /// It was whole, and `verify` found that a restore from there would fail.
    Damaged,
}

impl ReplicaState {
    /// Whether the vault holds the snapshot, or should.
    pub fn is_promised(self) -> bool {
        self != Self::Pending
    }
}

/// The state of one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// Where.
    #[serde(flatten)]
    pub place: VaultPlace,
    /// Whether it is whole.
    pub state: ReplicaState,
    /// Since when it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub completed_at: Option<Timestamp>,
    /// When `verify` last looked at every object of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub verified_at: Option<Timestamp>,
    /// What it found, the first of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
}

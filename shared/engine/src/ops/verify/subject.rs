//! A snapshot in a vault, while it is looked at.

use super::record::SnapshotReport;
use crate::catalog::{Finding, FindingCode, SnapshotSummary};
use crate::id::SnapshotId;
use crate::inventory::Inventory;
use crate::layout::ObjectKey;
use crate::limits::FINDINGS_KEPT;
use crate::vault::VaultPlace;
use std::fmt;

/// One snapshot in one vault.
pub(super) struct Subject {
    pub(super) snapshot: SnapshotId,
    /// The place of the vault in the list of vaults.
    pub(super) vault: usize,
    /// What the snapshot consists of; none where that cannot be read.
    pub(super) inventory: Option<Inventory>,
    /// What the catalog should say of it, where it knows another inventory: either it or this vault is wrong.
    pub(super) unlike_catalog: Option<SnapshotSummary>,
    /// The same, once what is sealed said that the catalog is wrong.
    pub(super) corrects_catalog: Option<SnapshotSummary>,
    pub(super) findings: Vec<Finding>,
}

impl Subject {
    pub(super) fn new(snapshot: SnapshotId, vault: usize) -> Self {
        Self { snapshot, vault, inventory: None, unlike_catalog: None, corrects_catalog: None, findings: Vec::new() }
    }

    pub(super) fn note(&mut self, code: FindingCode, object: ObjectKey, message: impl fmt::Display) {
        // What is wrong with one object is told once, by the first place of it.
        if !self.findings.iter().any(|f| (f.code, f.object) == (code, object)) {
            self.findings.push(Finding { code, object, message: message.to_string() });
        }
    }

    /// Whether nothing that would spoil a restore was found of an object.
    pub(super) fn is_sound(&self, object: ObjectKey) -> bool {
        !self.findings.iter().any(|f| f.object == object && f.code.is_damage())
    }

    pub(super) fn report(&self, place: &VaultPlace) -> SnapshotReport {
        SnapshotReport {
            snapshot: self.snapshot,
            place: place.clone(),
            objects: self.inventory.as_ref().map_or(0, |i| i.objects().count() as u64 + 1),
            findings: Finding::worst(self.findings.clone(), FINDINGS_KEPT),
        }
    }
}

//! References to objects of a vault.

use crate::layout::ObjectKey;
use crate::stage::{Sha256, Storable};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// An object, as manifests and inventories name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its key.
    pub key: ObjectKey,
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: Sha256,
}

impl ObjectRef {
    /// The reference to an object about to be stored.
    pub fn of(key: ObjectKey, body: &Storable) -> Self {
        Self { key, length: body.len() as u64, sha256: body.sha256() }
    }
}

/// The packs that a list of extents refers to, in the order in which they come.
#[derive(Default)]
pub(crate) struct UsedPacks {
    pub(crate) packs: Vec<ObjectRef>,
    places: HashMap<ObjectKey, u32>,
}

impl UsedPacks {
    /// Goes on with a list.
    pub(crate) fn of(packs: Vec<ObjectRef>) -> Self {
        let places = (0..).zip(&packs).map(|(place, pack)| (pack.key, place)).collect();
        Self { packs, places }
    }

    /// The place of a pack in the list.
    pub(crate) fn place(&mut self, pack: ObjectRef) -> u32 {
        *self.places.entry(pack.key).or_insert_with(|| {
            self.packs.push(pack);
            self.packs.len() as u32 - 1
        })
    }
}

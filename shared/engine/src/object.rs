//! References to objects of a vault.

use crate::layout::ObjectKey;
use crate::stage::{Sha256, Storable};
use serde::{Deserialize, Serialize};

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

//! The port on the versions of one region's objects: what only `prune` may do.
//!
//! It is apart from [`crate::vault::Vault`], so that an operation that has no business deleting has nothing to delete with.
//! Always holds: a version under a lock stays ([`Deleted::Locked`] is not an error of the port), and a lock is only ever
//! extended.

use crate::clock::Timestamp;
use crate::error::{Error, Result, ResultExt};
use crate::layout::ObjectKey;
use crate::vault::VaultPlace;

/// One version of an object, or a mark that hides the versions below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The key, as text: a vault may hold objects that are not ours.
    pub key: String,
    /// What tells it from the others of this key.
    pub version: String,
    /// Whether it is what a reader finds.
    pub latest: bool,
    /// Whether it only hides what is below it.
    pub delete_marker: bool,
    /// Bytes; 0 of a delete marker.
    pub length: u64,
    /// What changes with the bytes; empty of a delete marker. The same bytes have the same in every vault.
    pub etag: String,
    /// When the store took it, by the store's own clock.
    pub modified_at: Timestamp,
}

/// A place in the order of versions: by key, then newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionPlace {
    /// The key.
    pub key: String,
    /// The version.
    pub version: String,
}

/// A page of versions, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// The versions.
    pub versions: Vec<ObjectVersion>,
    /// Give this to get the next page; `None` when this is the last.
    pub next: Option<VersionPlace>,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is not there any more, or was not before.
    Gone,
    /// It is under a lock, and stays.
    Locked,
}

/// Until when nobody may delete a version, and whether somebody could lift that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLock {
    /// Nobody can shorten it, the account's root neither.
    pub compliance: bool,
    /// Until when.
    pub until: Timestamp,
}

/// The versions of one region's bucket.
#[async_trait::async_trait]
pub trait Versions: Send + Sync {
    /// Where it is.
    fn place(&self) -> &VaultPlace;

    /// The versions of keys that begin with `prefix`, from after `after` on.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`. Never an empty page because of an error.
    async fn list(&self, prefix: &str, after: Option<&VersionPlace>) -> Result<VersionPage>;

    /// Deletes one version, for good.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`.
    async fn delete(&self, key: &ObjectKey, version: &str) -> Result<Deleted>;

    /// The lock of one version; `None` when it has none.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`, `Denied`.
    async fn lock_of(&self, key: &ObjectKey, version: &str) -> Result<Option<ObjectLock>>;

    /// Extends the lock of one version.
    ///
    /// # Errors
    /// `Invalid` when that would shorten it, or the store has no locks; `NotFound`, `Unavailable`, `Denied`.
    async fn extend_lock(&self, key: &ObjectKey, version: &str, lock: ObjectLock) -> Result<()>;
}

/// All versions of keys that begin with a prefix.
///
/// # Errors
/// As [`Versions::list`].
pub async fn list_all(versions: &dyn Versions, prefix: &str) -> Result<Vec<ObjectVersion>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = versions.list(prefix, after.as_ref()).await;
        let page = page.context(format!("list the versions of {prefix} in the {}", versions.place()))?;
        all.extend(page.versions);
        match page.next {
            Some(next) if after.as_ref() == Some(&next) => {
                return Err(Error::internal(format!(
                    "the listing of the versions of {prefix} in the {} does not advance",
                    versions.place()
                )));
            }
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

//! The port on one region's bucket.
//!
//! Always holds: an object is written once ([`PutOutcome::Exists`] is not an error of the port; [`put_once`] compares
//! the checksums), and what [`Vault::get`] returns matched the checksum that the store keeps for it.

use crate::error::{Error, Result, ResultExt};
use crate::layout::ObjectKey;
use crate::stage::{Sha256, Storable};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use utoipa::ToSchema;

/// Which of the three vaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VaultRole {
    /// Where `backup` writes.
    Primary,
    /// The first replica.
    Secondary,
    /// The second replica.
    Tertiary,
}

impl VaultRole {
    /// All three, primary first.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Tertiary];
}

impl fmt::Display for VaultRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Tertiary => "tertiary",
        })
    }
}

/// Where a vault is. Shown to users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VaultPlace {
    /// Which of the three.
    pub role: VaultRole,
    /// The region's name, such as `eu-west-1`.
    pub region: String,
    /// The bucket's name.
    pub bucket: String,
}

impl fmt::Display for VaultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} vault {} ({})", self.role, self.bucket, self.region)
    }
}

/// What a store knows of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Bytes.
    pub length: u64,
    /// The SHA-256 that the store computed when the object was put; `None` when it was put without.
    pub sha256: Option<Sha256>,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object was not there, and is now.
    Written,
    /// There is an object of that key already; nothing was written.
    Exists,
}

/// A page of keys, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys of this page, as text: a vault may hold objects that are not ours.
    pub keys: Vec<String>,
    /// Give this to get the next page; `None` when this is the last.
    pub next: Option<String>,
}

/// One region's bucket.
#[async_trait::async_trait]
pub trait Vault: Send + Sync {
    /// Where it is.
    fn place(&self) -> &VaultPlace;

    /// Puts an object if there is none of that key, with its SHA-256 checked by the store.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, or `NotFound` when the bucket is missing.
    async fn put(&self, key: &ObjectKey, body: &Storable) -> Result<PutOutcome>;

    /// A whole object.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` when the bytes do not match the store's checksum; `Unavailable`, `Denied`.
    async fn get(&self, key: &ObjectKey) -> Result<Bytes>;

    /// `length` bytes from `offset`, exactly.
    ///
    /// # Errors
    /// As `get`; `Corrupt` when the object is shorter.
    async fn get_range(&self, key: &ObjectKey, offset: u64, length: u64) -> Result<Bytes>;

    /// What the store knows of an object; `None` when there is none.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`.
    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>>;

    /// The keys that begin with `prefix`, from after `after` on.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`. Never an empty page because of an error.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<KeyPage>;

    /// Whether backups may be kept here: the bucket is there, is ours, and is versioned.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    async fn check(&self) -> Result<()>;
}

/// The three vaults of one deployment, primary first.
#[derive(Clone)]
pub struct Vaults([Arc<dyn Vault>; 3]);

impl Vaults {
    /// Takes them in the order primary, secondary, tertiary.
    pub fn new(vaults: [Arc<dyn Vault>; 3]) -> Self {
        Self(vaults)
    }

    /// Where `backup` writes.
    pub fn primary(&self) -> &Arc<dyn Vault> {
        &self.0[0]
    }

    /// The other two.
    pub fn replicas(&self) -> &[Arc<dyn Vault>] {
        &self.0[1..]
    }

    /// All three, primary first.
    pub fn all(&self) -> &[Arc<dyn Vault>] {
        &self.0
    }

    /// The vault of a region.
    ///
    /// # Errors
    /// `Invalid`, with the regions that there are.
    pub fn in_region(&self, region: &str) -> Result<&Arc<dyn Vault>> {
        self.0.iter().find(|v| v.place().region == region).ok_or_else(|| {
            let regions: Vec<&str> = self.0.iter().map(|v| v.place().region.as_str()).collect();
            Error::invalid(format!("no vault is in region `{region}`; there are {}", regions.join(", ")))
        })
    }
}

/// Puts an object, or finds the very same one there already.
///
/// # Errors
/// `Corrupt` when another object holds that key; otherwise as [`Vault::put`].
pub async fn put_once(vault: &dyn Vault, key: &ObjectKey, body: &Storable) -> Result<PutOutcome> {
    let outcome = vault.put(key, body).await.context(format!("put {key} in the {}", vault.place()))?;
    if outcome == PutOutcome::Exists {
        let found = vault.head(key).await.context(format!("look at {key} in the {}", vault.place()))?;
        let same = found.as_ref().is_some_and(|m| m.sha256 == Some(body.sha256()) && m.length == body.len() as u64);
        if !same {
            return Err(Error::corrupt(format!(
                "{key} in the {} holds other bytes than those to be written; objects are written once, so one of the two is wrong",
                vault.place()
            )));
        }
    }
    Ok(outcome)
}

/// All keys that begin with a prefix.
///
/// # Errors
/// As [`Vault::list`].
pub async fn list_all(vault: &dyn Vault, prefix: &str) -> Result<Vec<String>> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page =
            vault.list(prefix, after.as_deref()).await.context(format!("list {prefix} in the {}", vault.place()))?;
        keys.extend(page.keys);
        match page.next {
            Some(next) if after.as_ref() == Some(&next) => {
                return Err(Error::internal(format!(
                    "the listing of {prefix} in the {} does not advance",
                    vault.place()
                )));
            }
            Some(next) => after = Some(next),
            None => return Ok(keys),
        }
    }
}

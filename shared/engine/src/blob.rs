//! Blobs: objects of Supabase Storage, sealed as extents in packs.

use crate::error::{Error, Result};
use crate::extent::{Extent, ExtentReader};
use crate::keyring::Keyring;
use crate::layout::ObjectKey;
use crate::object::ObjectRef;
use crate::stage::{Sha256, Sha256Meter};
use crate::storage::{Content, StoredObject};
use crate::vault::Vault;
use futures::stream;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An object of the project, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// As the transaction snapshot lists it.
    #[serde(flatten)]
    pub object: StoredObject,
    /// What the endpoint gave; nothing if the object was gone by then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<BlobContent>,
}

/// The sealed content of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobContent {
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: Sha256,
    /// Whether it was written again between the transaction snapshot and its turn: then it is newer than what the database lists.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub newer: bool,
    /// Where it lies, in order; none when it is empty.
    pub extents: Vec<Extent>,
}

/// How many there are in each bucket, for people. Names of objects are rows of the source: they stay in sealed lists.
pub fn by_bucket<'a>(objects: impl Iterator<Item = &'a StoredObject>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    objects.for_each(|object| *counts.entry(&object.bucket).or_default() += 1);
    counts.into_iter().map(|(bucket, count)| format!("{count} of bucket {bucket}")).collect::<Vec<_>>().join(", ")
}

/// Requires that extents lie in packs and add up.
///
/// # Errors
/// `Corrupt`, with what does not hold.
pub(crate) fn check(blobs: &[Blob], packs: &[ObjectRef]) -> Result<()> {
    for blob in blobs {
        let Some(content) = &blob.content else { continue };
        let mut bytes = 0u64;
        for extent in &content.extents {
            extent.check(packs)?;
            bytes = bytes.checked_add(extent.bytes).ok_or_else(|| Error::corrupt("a blob's extents overflow"))?;
        }
        if bytes != content.length {
            return Err(Error::corrupt("the extents of a blob do not add up to it"));
        }
    }
    Ok(())
}

/// The content of a blob, read from a vault. The stream ends in an error unless every byte is what was sealed and all came.
pub fn read(vault: Arc<dyn Vault>, keyring: Arc<Keyring>, packs: Arc<Vec<ObjectKey>>, content: BlobContent) -> Content {
    let reader = ExtentReader::new(vault, keyring, packs, content.extents);
    let state = (reader, Some(Sha256Meter::default()), content.sha256);
    Box::pin(stream::try_unfold(state, |(mut reader, mut meter, wanted)| async move {
        if let Some(chunk) = reader.next().await? {
            if let Some(meter) = &mut meter {
                meter.write(&chunk);
            }
            return Ok(Some((chunk, (reader, meter, wanted))));
        }
        match meter.take().map(Sha256Meter::finish) {
            Some(found) if found != wanted => {
                Err(Error::corrupt(format!("the blob has the SHA-256 {found}; the manifest says {wanted}")))
            }
            _ => Ok(None),
        }
    }))
}

/// Blobs that earlier attempts stored.
#[derive(Debug, Default)]
pub struct KnownBlobs {
    /// Their extents refer to these.
    packs: Vec<ObjectRef>,
    by_name: HashMap<(String, String), Blob>,
}

impl KnownBlobs {
    /// Adds those of a manifest or a checkpoint; later ones win.
    pub fn add(&mut self, blobs: Vec<Blob>, packs: &[ObjectRef]) {
        if blobs.is_empty() {
            return;
        }
        let first = self.packs.len() as u32;
        self.packs.extend_from_slice(packs);
        for mut blob in blobs {
            let Some(content) = &mut blob.content else { continue };
            content.extents.iter_mut().for_each(|e| e.pack += first);
            self.by_name.insert((blob.object.bucket.clone(), blob.object.name.clone()), blob);
        }
    }

    /// The content of an object that was not written again since it was stored: the project gives each content another version.
    pub fn find(&self, object: &StoredObject) -> Option<&BlobContent> {
        let blob = self.last(object)?;
        let same = blob.object == *object && (object.version.is_some() || object.etag.is_some());
        blob.content.as_ref().filter(|content| same && !content.newer)
    }

    /// An object as it was stored last, whether or not it was written again since.
    pub fn last(&self, object: &StoredObject) -> Option<&Blob> {
        self.by_name.get(&(object.bucket.clone(), object.name.clone()))
    }

    /// The packs that extents refer to.
    pub fn packs(&self) -> &[ObjectRef] {
        &self.packs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: &str) -> StoredObject {
        StoredObject {
            bucket: "avatars".to_owned(),
            name: "a/b.png".to_owned(),
            version: (!version.is_empty()).then(|| version.to_owned()),
            etag: None,
            bytes: Some(3),
            updated_at: Some("2026-11-24".to_owned()),
            content_type: None,
            cache_control: None,
        }
    }

    fn known(object: StoredObject, newer: bool) -> KnownBlobs {
        let content = BlobContent { length: 3, sha256: Sha256::of(b"abc"), newer, extents: Vec::new() };
        let mut known = KnownBlobs::default();
        known.add(vec![Blob { object, content: Some(content) }], &[]);
        known
    }

    #[test]
    fn only_the_very_same_version_is_used_again() {
        assert!(known(object("1"), false).find(&object("1")).is_some());
        assert!(known(object("1"), false).find(&object("2")).is_none());
        assert!(known(object("1"), true).find(&object("1")).is_none(), "what is stored is newer than that version");
        assert!(known(object(""), false).find(&object("")).is_none(), "nothing tells two contents apart");
        let renamed = StoredObject { name: "a/c.png".to_owned(), ..object("1") };
        assert!(known(object("1"), false).find(&renamed).is_none());
    }
}

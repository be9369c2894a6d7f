//! The objects of Storage: put back through the project's own endpoint once all rows are proven, and read back.

use super::Restore;
use crate::blob::{self, Blob, BlobContent};
use crate::catalog::Warning;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::layout::ObjectKey;
use crate::manifest::Manifest;
use crate::scope::Scope;
use crate::stage::{Sha256, Sha256Meter};
use crate::storage::{Storage, StoredObject};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// What came of the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoredBlobs {
    /// Objects whose content, read back, is the snapshot's.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

/// What is done with an object that is there with another content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// The project is new: it is what an interrupted restore left.
    Overwrite,
    /// The project is in use.
    Keep,
}

impl Restore {
    /// Puts the objects that are wanted back. Gives what a person should know.
    pub(super) async fn put_back(
        &self,
        manifest: &Manifest,
        scope: Option<&Scope>,
        masked: bool,
        others: Others,
    ) -> Result<(RestoredBlobs, Vec<Warning>)> {
        let wanted: Vec<&Blob> =
            manifest.blobs.iter().filter(|b| scope.is_none_or(|s| s.buckets.contains(&b.object.bucket))).collect();
        let mut warnings = Vec::new();
        let mut tell = |code: &str, message: String| warnings.push(Warning { code: code.to_owned(), message });
        if wanted.is_empty() {
            return Ok((RestoredBlobs::default(), warnings));
        }
        if masked {
            tell("storage_left_out", format!("{} objects of Storage stay in production", wanted.len()));
            return Ok((RestoredBlobs::default(), warnings));
        }
        let Some(storage) = &self.storage else {
            let message = "objects of Storage were not restored: set BACKUP_TARGET_<ENVIRONMENT>_STORAGE_SECRET_ARN, and run this \
                           again with `include` and their buckets";
            tell("storage_not_configured", format!("{} {message}", wanted.len()));
            return Ok((RestoredBlobs::default(), warnings));
        };
        let packs = Arc::new(manifest.packs.iter().map(|p| p.key).collect::<Vec<_>>());
        let contents = wanted.iter().filter_map(|b| b.content.as_ref().map(|content| (&b.object, content)));
        let puts = stream::iter(contents).map(|(object, content)| {
            let packs = Arc::clone(&packs);
            async move {
                let put = self.put_blob(&**storage, object, content, packs, others).await;
                put.context(format!("restore an object of bucket {} to {}", object.bucket, storage.place()))
                    .map(|put| (object, content, put))
            }
        });
        let done: Vec<_> = puts.buffer_unordered(self.sessions).try_collect().await?;
        let kept: Vec<&StoredObject> = done.iter().filter(|(.., put)| !put).map(|(o, ..)| *o).collect();
        if !kept.is_empty() {
            let message =
                "objects are there with another content and stay as they are; delete them first to restore them";
            tell("storage_kept", format!("{message}: {}", blob::by_bucket(kept.into_iter())));
        }
        let restored = done.iter().filter(|(.., put)| *put);
        let sum = restored.fold(RestoredBlobs::default(), |sum, (_, content, _)| RestoredBlobs {
            blobs: sum.blobs + 1,
            blob_bytes: sum.blob_bytes + content.length,
        });
        let gone = wanted.iter().filter(|b| b.content.is_none()).count();
        if gone > 0 {
            tell("storage_gone", format!("{gone} objects that the database lists were gone when the backup was made"));
        }
        Ok((sum, warnings))
    }

    /// Puts one object, unless it is there. Answers whether its content is the snapshot's now.
    async fn put_blob(
        &self,
        storage: &dyn Storage,
        object: &StoredObject,
        content: &BlobContent,
        packs: Arc<Vec<ObjectKey>>,
        others: Others,
    ) -> Result<bool> {
        // Looked at by its content: of what its database lists a project also says that it is there when it is not.
        match found(storage, object, content.length).await? {
            Some(sha256) if sha256 == content.sha256 => return Ok(true),
            Some(_) if others == Others::Keep => return Ok(false),
            _ => {}
        }
        let bytes = blob::read(Arc::clone(&self.vault), Arc::clone(&self.keyring), packs, content.clone());
        storage.put(object, content.length, bytes).await?;
        match found(storage, object, content.length).await? {
            Some(sha256) if sha256 == content.sha256 => Ok(true),
            Some(_) => Err(Error::corrupt("what was read back is not what was put: do not use this target")),
            None => Err(Error::corrupt("it was put and is not there")),
        }
    }
}

/// Requires that the backup has objects of each bucket.
///
/// # Errors
/// `Invalid`, naming those that there are.
pub(super) fn require_buckets(scope: &Scope, manifest: &Manifest) -> Result<()> {
    let there: BTreeSet<&str> = manifest.blobs.iter().map(|b| b.object.bucket.as_str()).collect();
    match scope.buckets.iter().find(|b| !there.contains(b.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Error::invalid(format!(
            "the backup has no objects of a bucket `{}`; there are {}",
            unknown.chars().take(100).collect::<String>(),
            if there.is_empty() { "none".to_owned() } else { there.into_iter().collect::<Vec<_>>().join(", ") }
        ))),
    }
}

/// The SHA-256 of an object as it is there; of one of another length something else.
async fn found(storage: &dyn Storage, object: &StoredObject, length: u64) -> Result<Option<Sha256>> {
    let given = match storage.get(object).await {
        Ok(given) => given,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    if given.length != length {
        return Ok(Some(Sha256::of(b"of another length")));
    }
    let (mut content, mut meter) = (given.content, Sha256Meter::default());
    while let Some(chunk) = content.next().await {
        meter.write(&chunk?);
    }
    Ok(Some(meter.finish()))
}

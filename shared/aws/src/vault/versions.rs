//! The versions of a bucket's objects: what only `prune` calls.
//!
//! Never: lifts a lock. No request asks to bypass governance, so a version under a lock stays for whoever runs this.

use super::S3Vault;
use crate::errors::Call;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use engine::clock::Timestamp;
use engine::error::{Error, ErrorKind, Result};
use engine::layout::ObjectKey;
use engine::vault::VaultPlace;
use engine::versions::{Deleted, ObjectLock, ObjectVersion, VersionPage, VersionPlace, Versions};

const LIST: Call = Call::new("s3", "ListObjectVersions");
const DELETE: Call = Call::new("s3", "DeleteObjectVersion");
const GET_RETENTION: Call = Call::new("s3", "GetObjectRetention");
const PUT_RETENTION: Call = Call::new("s3", "PutObjectRetention");

#[async_trait::async_trait]
impl Versions for S3Vault {
    fn place(&self) -> &VaultPlace {
        &self.place
    }

    async fn list(&self, prefix: &str, after: Option<&VersionPlace>) -> Result<VersionPage> {
        let request = self.client.list_object_versions().bucket(&self.place.bucket).prefix(prefix);
        let request = request.set_key_marker(after.map(|a| a.key.clone()));
        let request = request.set_version_id_marker(after.map(|a| a.version.clone()));
        let request = request.max_keys(i32::try_from(self.page_keys).unwrap_or(i32::MAX));
        let output = request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| LIST.failed(&e))?;
        let next = match (output.is_truncated.unwrap_or(false), output.next_key_marker, output.next_version_id_marker) {
            (false, _, _) => None,
            (true, Some(key), Some(version)) => Some(VersionPlace { key, version }),
            (true, _, _) => {
                return Err(Error::unavailable(
                    "s3 ListObjectVersions: a page that does not say where the next begins",
                ));
            }
        };
        let objects = output.versions.unwrap_or_default().into_iter().map(|v| {
            let length = v.size.and_then(|size| u64::try_from(size).ok());
            Some(ObjectVersion {
                key: v.key?,
                version: v.version_id?,
                latest: v.is_latest?,
                delete_marker: false,
                length: length?,
                etag: v.e_tag?,
                modified_at: instant(v.last_modified.as_ref()?)?,
            })
        });
        let markers = output.delete_markers.unwrap_or_default().into_iter().map(|v| {
            Some(ObjectVersion {
                key: v.key?,
                version: v.version_id?,
                latest: v.is_latest?,
                delete_marker: true,
                length: 0,
                etag: String::new(),
                modified_at: instant(v.last_modified.as_ref()?)?,
            })
        });
        let versions = objects.chain(markers).collect::<Option<Vec<_>>>();
        let mut versions = versions
            .ok_or_else(|| Error::unavailable("s3 ListObjectVersions: an entry that does not say what it is"))?;
        // S3 gives the two kinds apart.
        versions.sort_by(|a, b| (&a.key, !a.latest, b.modified_at).cmp(&(&b.key, !b.latest, a.modified_at)));
        Ok(VersionPage { versions, next })
    }

    async fn delete(&self, key: &ObjectKey, version: &str) -> Result<Deleted> {
        let request = self.client.delete_object().bucket(&self.place.bucket).key(key.to_string()).version_id(version);
        match request.set_expected_bucket_owner(self.owner.clone()).send().await {
            Ok(_) => Ok(Deleted::Gone),
            Err(e) if is_locked(&e) => Ok(Deleted::Locked),
            Err(e) => match DELETE.failed(&e) {
                // It was deleted meanwhile.
                gone if gone.kind() == ErrorKind::NotFound && code(&e) == Some("NoSuchVersion") => Ok(Deleted::Gone),
                failed => Err(failed),
            },
        }
    }

    async fn lock_of(&self, key: &ObjectKey, version: &str) -> Result<Option<ObjectLock>> {
        let request = self.client.get_object_retention().bucket(&self.place.bucket).key(key.to_string());
        match request.version_id(version).set_expected_bucket_owner(self.owner.clone()).send().await {
            Ok(output) => output.retention.map(|r| lock(&r)).transpose(),
            Err(e) if code(&e) == Some("NoSuchObjectLockConfiguration") => Ok(None),
            Err(e) => Err(self.without_locks(&e).unwrap_or_else(|| GET_RETENTION.failed(&e))),
        }
    }

    async fn extend_lock(&self, key: &ObjectKey, version: &str, lock: ObjectLock) -> Result<()> {
        let mode =
            if lock.compliance { ObjectLockRetentionMode::Compliance } else { ObjectLockRetentionMode::Governance };
        let until = DateTime::from_millis(lock.until.as_millis());
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let request = self.client.put_object_retention().bucket(&self.place.bucket).key(key.to_string());
        let request = request.version_id(version).retention(retention);
        match request.set_expected_bucket_owner(self.owner.clone()).send().await {
            Ok(_) => Ok(()),
            Err(e) if is_locked(&e) => Err(Error::invalid("the lock would be shortened")),
            Err(e) => Err(self.without_locks(&e).unwrap_or_else(|| PUT_RETENTION.failed(&e))),
        }
    }
}

impl S3Vault {
    /// What a refusal means where the bucket has no locks at all.
    fn without_locks<E: ProvideErrorMetadata>(&self, error: &SdkError<E>) -> Option<Error> {
        let bucket = &self.place.bucket;
        (code(error) == Some("InvalidRequest")).then(|| {
            Error::invalid(format!(
                "bucket {bucket} has no Object Lock, so anyone who may delete can take the backups away; turn it on with `aws s3api \
                 put-object-lock-configuration`"
            ))
        })
    }
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Whether S3 refuses because of a lock, and not because of a missing right: it says so in its words only.
fn is_locked<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let words = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    code(error) == Some("AccessDenied") && words.to_lowercase().contains("object lock")
}

fn instant(t: &DateTime) -> Option<Timestamp> {
    t.to_millis().ok().map(Timestamp::from_millis)
}

fn lock(retention: &ObjectLockRetention) -> Result<ObjectLock> {
    let unreadable = || Error::unavailable("s3 GetObjectRetention: an answer that does not say until when");
    let until = retention.retain_until_date().and_then(instant).ok_or_else(unreadable)?;
    Ok(ObjectLock { compliance: retention.mode() == Some(&ObjectLockRetentionMode::Compliance), until })
}

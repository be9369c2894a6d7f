//! A vault over S3: one bucket, spoken to in its own region.
//!
//! Always holds: an object is put with `If-None-Match: *` and the SHA-256 that was computed when its bytes were made, which
//! S3 compares with what arrived; what is read whole is hashed again here and compared with the checksum that S3 keeps.
//! Where the owner's account is known, every call names it, so a bucket of that name in another account is refused.
//!
//! Never: overwrites, deletes (but for what [`engine::versions::Versions`] is asked to), or reads more than [`OBJECT_BYTES_MAX`] into memory.

mod check;
mod versions;

use crate::errors::{Call, status};
use crate::frames;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use engine::error::{Error, ErrorKind, Result};
use engine::layout::ObjectKey;
use engine::limits::{OBJECT_BYTES_MAX, PAGE_MAX};
use engine::stage::{Sha256, Storable};
use engine::vault::{KeyPage, ObjectMeta, PutOutcome, Vault, VaultPlace};

/// A body that breaks off is asked for again so many times in all; the SDK tries only requests again, not bodies.
const BODY_TRIES: usize = 3;

const PUT: Call = Call::new("s3", "PutObject");
const GET: Call = Call::new("s3", "GetObject");
const HEAD: Call = Call::new("s3", "HeadObject");
const LIST: Call = Call::new("s3", "ListObjectsV2");

/// A vault over S3.
#[derive(Clone, Debug)]
pub struct S3Vault {
    client: Client,
    place: VaultPlace,
    owner: Option<String>,
    page_keys: usize,
}

impl S3Vault {
    /// Over a client of the region in which the bucket is. `owner` is the account that the bucket must belong to.
    pub fn new(client: Client, place: VaultPlace, owner: Option<String>) -> Self {
        Self { client, place, owner, page_keys: PAGE_MAX }
    }

    /// Lists at most so many keys a page, 1 to [`PAGE_MAX`].
    #[must_use]
    pub fn with_page_keys(mut self, page_keys: usize) -> Self {
        self.page_keys = page_keys.clamp(1, PAGE_MAX);
        self
    }

    async fn get_once(&self, key: &ObjectKey) -> Result<Bytes> {
        let request = self.client.get_object().bucket(&self.place.bucket).key(key.to_string());
        let request = request.checksum_mode(ChecksumMode::Enabled).set_expected_bucket_owner(self.owner.clone());
        let output = request.send().await.map_err(|e| GET.failed(&e))?;
        let length = length_of(output.content_length())?;
        if length > OBJECT_BYTES_MAX as u64 {
            return Err(Error::corrupt(format!("the object has {length} bytes, more than any object of ours")));
        }
        let stored = sha256_of(output.checksum_sha256())?;
        let bytes = read_body(output, length).await?;
        match stored {
            Some(stored) if Sha256::of(&bytes) != stored => Err(Error::corrupt(format!(
                "the object's bytes have the SHA-256 {}, and the store keeps {stored}",
                Sha256::of(&bytes)
            ))),
            _ => Ok(bytes),
        }
    }

    async fn get_range_once(&self, key: &ObjectKey, offset: u64, length: u64) -> Result<Bytes> {
        let last = offset.checked_add(length - 1).ok_or_else(|| out_of_bounds(offset, length))?;
        let request = self.client.get_object().bucket(&self.place.bucket).key(key.to_string());
        let request = request.range(format!("bytes={offset}-{last}")).set_expected_bucket_owner(self.owner.clone());
        let output = request.send().await.map_err(|e| match status(&e) {
            Some(416) => out_of_bounds(offset, length),
            _ => GET.failed(&e),
        })?;
        // A range that ends beyond the object is answered with what there is of it.
        if length_of(output.content_length())? != length {
            return Err(out_of_bounds(offset, length));
        }
        read_body(output, length).await
    }
}

#[async_trait::async_trait]
impl Vault for S3Vault {
    fn place(&self) -> &VaultPlace {
        &self.place
    }

    async fn put(&self, key: &ObjectKey, body: &Storable) -> Result<PutOutcome> {
        let request = self.client.put_object().bucket(&self.place.bucket).key(key.to_string());
        let request = request.set_expected_bucket_owner(self.owner.clone()).if_none_match("*");
        let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256);
        let request = request.checksum_sha256(BASE64.encode(body.sha256().as_bytes()));
        // The signature covers the checksum header, and S3 compares the body with it: hashing the body again to sign it
        // would add nothing but time.
        let request = request.body(frames::body(body.bytes().clone())).customize().disable_payload_signing();
        match request.send().await {
            Ok(_) => Ok(PutOutcome::Written),
            Err(e) if status(&e) == Some(412) => Ok(PutOutcome::Exists),
            Err(e) => Err(PUT.failed(&e)),
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        let mut tries = 1;
        loop {
            match self.get_once(key).await {
                Err(e) if e.kind() == ErrorKind::Unavailable && tries < BODY_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    async fn get_range(&self, key: &ObjectKey, offset: u64, length: u64) -> Result<Bytes> {
        if length > OBJECT_BYTES_MAX as u64 {
            return Err(Error::invalid(format!("{length} bytes are more than an object may have")));
        }
        if length == 0 {
            // HTTP has no empty range; the object must be there all the same, and reach to the offset.
            return match self.head(key).await? {
                Some(meta) if offset <= meta.length => Ok(Bytes::new()),
                Some(_) => Err(out_of_bounds(offset, length)),
                None => Err(Error::not_found("the object is not there")),
            };
        }
        let mut tries = 1;
        loop {
            match self.get_range_once(key, offset, length).await {
                Err(e) if e.kind() == ErrorKind::Unavailable && tries < BODY_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>> {
        let request = self.client.head_object().bucket(&self.place.bucket).key(key.to_string());
        let request = request.checksum_mode(ChecksumMode::Enabled).set_expected_bucket_owner(self.owner.clone());
        match request.send().await {
            Ok(output) => {
                let length = length_of(output.content_length())?;
                Ok(Some(ObjectMeta { length, sha256: sha256_of(output.checksum_sha256())? }))
            }
            Err(e) if status(&e) == Some(404) => Ok(None),
            Err(e) => Err(HEAD.failed(&e)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<KeyPage> {
        let request = self.client.list_objects_v2().bucket(&self.place.bucket).prefix(prefix);
        let request = request.set_start_after(after.map(str::to_owned)).set_expected_bucket_owner(self.owner.clone());
        let request = request.max_keys(i32::try_from(self.page_keys).unwrap_or(i32::MAX));
        let output = request.send().await.map_err(|e| LIST.failed(&e))?;
        let more = output.is_truncated().unwrap_or(false);
        let keys: Vec<String> =
            output.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect();
        let next = keys.last().filter(|_| more).cloned();
        if more && next.is_none() {
            return Err(Error::unavailable("s3 ListObjectsV2: a page without keys that says there are more"));
        }
        Ok(KeyPage { keys, next })
    }

    async fn check(&self) -> Result<()> {
        check::check(&self.client, &self.place, self.owner.as_deref()).await
    }
}

/// The body of an answer, which must have exactly `length` bytes. The length was checked to be an allowable one.
async fn read_body(mut output: GetObjectOutput, length: u64) -> Result<Bytes> {
    let length = usize::try_from(length).map_err(|_| Error::corrupt("the object is too large for this machine"))?;
    let mut bytes = Vec::with_capacity(length);
    loop {
        match output.body.try_next().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > length => {
                return Err(Error::unavailable(format!(
                    "s3 GetObject: more than the {length} bytes announced arrived"
                )));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) if bytes.len() == length => return Ok(bytes.into()),
            Ok(None) => return Err(broken_off(bytes.len(), length)),
            // The SDK compares the checksum too, and says so after the last byte: our own comparison decides.
            Err(_) if bytes.len() == length && output.checksum_sha256.is_some() => return Ok(bytes.into()),
            Err(e) => return Err(broken_off(bytes.len(), length).with_source(crate::errors::chain(&e))),
        }
    }
}

fn broken_off(read: usize, length: usize) -> Error {
    Error::unavailable(format!("s3 GetObject: the body broke off after {read} of {length} bytes"))
}

fn out_of_bounds(offset: u64, length: u64) -> Error {
    Error::corrupt(format!("the object is shorter than the {length} bytes from {offset} that were asked for"))
}

fn length_of(length: Option<i64>) -> Result<u64> {
    let length = length.and_then(|l| u64::try_from(l).ok());
    length.ok_or_else(|| Error::unavailable("s3: the answer does not say how long the object is"))
}

/// The SHA-256 that S3 keeps of a whole object. That of a multipart upload (`…-3`) is one of parts, and none for us.
fn sha256_of(text: Option<&str>) -> Result<Option<Sha256>> {
    let Some(text) = text.filter(|t| !t.contains('-')) else { return Ok(None) };
    let bytes = BASE64.decode(text).ok();
    let sha256 = bytes.and_then(|b| Sha256::from_slice(&b).ok());
    sha256.map(Some).ok_or_else(|| Error::unavailable("s3: the answer's SHA-256 cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_checksum_is_read_as_it_was_written() {
        let sha256 = Sha256::of(b"bytes");
        let text = BASE64.encode(sha256.as_bytes());
        assert_eq!(sha256_of(Some(&text)).expect("reads"), Some(sha256));
        assert_eq!(sha256_of(Some(&format!("{text}-3"))).expect("reads"), None);
        assert_eq!(sha256_of(None).expect("reads"), None);
        assert!(sha256_of(Some("AAAA")).is_err());
    }

    #[test]
    fn an_answer_without_a_length_is_not_taken_for_an_empty_object() {
        assert_eq!(length_of(None).expect_err("refused").kind(), ErrorKind::Unavailable);
        assert_eq!(length_of(Some(-1)).expect_err("refused").kind(), ErrorKind::Unavailable);
        assert_eq!(length_of(Some(0)).expect("a length"), 0);
    }
}

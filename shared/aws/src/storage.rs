//! Supabase Storage over its S3 endpoint. Any other S3 server will do.
//!
//! Always holds: an object is seen only once all of it came; memory is bounded by one part, whatever its length.
//! Never: shows the endpoint's keys, or deletes.

use crate::errors::{Call, chain, status};
use crate::settings::StorageAddress;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CompletedMultipartUpload, CompletedPart, CreateBucketConfiguration};
use bytes::{Bytes, BytesMut};
use engine::error::{Error, ErrorKind, Result};
use engine::storage::{Content, Given, Storage, StoredObject};
use futures::{StreamExt, stream};

/// Larger objects are put in parts of this size.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// So many parts an upload may have.
const PARTS_MAX: u64 = 10_000;
/// The region that no request for a bucket may name.
const FIRST_REGION: &str = "us-east-1";

const GET: Call = Call::new("storage", "GetObject");
const PUT: Call = Call::new("storage", "PutObject");
const CREATE: Call = Call::new("storage", "CreateBucket");
const BEGIN: Call = Call::new("storage", "CreateMultipartUpload");
const PART: Call = Call::new("storage", "UploadPart");
const COMPLETE: Call = Call::new("storage", "CompleteMultipartUpload");

/// The objects of a project.
#[derive(Clone, Debug)]
pub struct S3Storage {
    client: Client,
    host: String,
    region: String,
}

impl S3Storage {
    /// At an address, with timeouts and tries of a configuration that knows nothing of it.
    pub(crate) fn new(config: &aws_config::SdkConfig, address: &StorageAddress) -> Self {
        let credentials = Credentials::new(address.access_key(), address.secret_key(), None, None, "storage");
        let config = aws_sdk_s3::config::Builder::from(config)
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(address.region().to_owned()))
            .endpoint_url(address.endpoint())
            .credentials_provider(credentials)
            .force_path_style(true)
            // The project's endpoint knows fewer checksums than S3.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), host: address.host().to_owned(), region: address.region().to_owned() }
    }

    async fn create_bucket(&self, bucket: &str) -> Result<()> {
        let place = (self.region != FIRST_REGION).then(|| {
            let constraint = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(constraint).build()
        });
        match self.client.create_bucket().bucket(bucket).set_create_bucket_configuration(place).send().await {
            Ok(_) => Ok(()),
            // Somebody else was first.
            Err(e) if matches!(e.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => Ok(()),
            Err(e) => Err(failed(CREATE, &e)),
        }
    }

    async fn put_whole(&self, object: &StoredObject, bytes: Bytes) -> Result<()> {
        let put = || {
            let request = self.client.put_object().bucket(&object.bucket).key(&object.name);
            let request = request.set_content_type(object.content_type.clone());
            request.set_cache_control(object.cache_control.clone()).body(ByteStream::from(bytes.clone())).send()
        };
        match put().await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Some("NoSuchBucket") => {
                self.create_bucket(&object.bucket).await?;
                put().await.map(|_| ()).map_err(|e| failed(PUT, &e))
            }
            Err(e) => Err(failed(PUT, &e)),
        }
    }

    async fn put_in_parts(&self, object: &StoredObject, length: u64, first: Bytes, rest: Content) -> Result<()> {
        if length > PARTS_MAX * PART_BYTES as u64 {
            return Err(Error::exhausted(format!(
                "it has {length} bytes; at most {} can be put",
                PARTS_MAX * PART_BYTES as u64
            )));
        }
        let begin = || {
            let request = self.client.create_multipart_upload().bucket(&object.bucket).key(&object.name);
            request.set_content_type(object.content_type.clone()).set_cache_control(object.cache_control.clone()).send()
        };
        let begun = match begin().await {
            Err(e) if e.code() == Some("NoSuchBucket") => {
                self.create_bucket(&object.bucket).await?;
                begin().await
            }
            begun => begun,
        };
        let begun = begun.map_err(|e| failed(BEGIN, &e))?;
        let upload = begun.upload_id().ok_or_else(|| Error::unavailable("storage: an upload without an id"))?;
        let done = self.put_parts(object, upload, length, first, rest).await;
        if done.is_err() {
            let abort = self.client.abort_multipart_upload().bucket(&object.bucket).key(&object.name);
            if let Err(e) = abort.upload_id(upload).send().await {
                tracing::warn!(error = %chain(&e), "an upload that broke off could not be removed");
            }
        }
        done
    }

    async fn put_parts(
        &self,
        object: &StoredObject,
        upload: &str,
        length: u64,
        first: Bytes,
        mut rest: Content,
    ) -> Result<()> {
        let (mut parts, mut next, mut sent) = (Vec::new(), first, 0u64);
        for number in 1.. {
            sent += next.len() as u64;
            let request = self.client.upload_part().bucket(&object.bucket).key(&object.name).upload_id(upload);
            let part = request.part_number(number).body(ByteStream::from(next)).send().await;
            let part = part.map_err(|e| failed(PART, &e))?;
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
            next = take(&mut rest, PART_BYTES).await?;
            if next.is_empty() {
                break;
            }
        }
        require_length(sent, length)?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&object.bucket).key(&object.name);
        request.upload_id(upload).multipart_upload(parts).send().await.map_err(|e| failed(COMPLETE, &e))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Storage for S3Storage {
    fn place(&self) -> &str {
        &self.host
    }

    async fn get(&self, object: &StoredObject) -> Result<Given> {
        let request = self.client.get_object().bucket(&object.bucket).key(&object.name);
        let output = request.send().await.map_err(|e| failed(GET, &e))?;
        let length = output.content_length().and_then(|l| u64::try_from(l).ok());
        let length =
            length.ok_or_else(|| Error::unavailable("storage: the answer does not say how long the object is"))?;
        let etag = output.e_tag().map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned());
        let content = stream::try_unfold((output.body, 0u64), move |(mut body, read)| async move {
            match body.try_next().await {
                Ok(Some(chunk)) => {
                    let read = read + chunk.len() as u64;
                    Ok(Some((chunk, (body, read))))
                }
                Ok(None) if read == length => Ok(None),
                Ok(None) => Err(broken_off(read, length)),
                Err(e) => Err(broken_off(read, length).with_source(chain(&e))),
            }
        });
        Ok(Given { length, etag, content: Box::pin(content) })
    }

    async fn put(&self, object: &StoredObject, length: u64, mut content: Content) -> Result<()> {
        let first = take(&mut content, PART_BYTES).await?;
        if first.len() < PART_BYTES || length == PART_BYTES as u64 {
            let more = if first.len() < PART_BYTES { Bytes::new() } else { take(&mut content, 1).await? };
            require_length((first.len() + more.len()) as u64, length)?;
            return self.put_whole(object, first).await;
        }
        self.put_in_parts(object, length, first, content).await
    }
}

/// The next bytes of a content, `length` of them or what is left. What came too much of goes back.
async fn take(content: &mut Content, length: usize) -> Result<Bytes> {
    let mut taken = BytesMut::with_capacity(length.min(PART_BYTES));
    while taken.len() < length {
        let Some(mut chunk) = content.next().await.transpose()? else { break };
        let rest = chunk.split_off(chunk.len().min(length - taken.len()));
        taken.extend_from_slice(&chunk);
        if !rest.is_empty() {
            let later = std::mem::replace(content, Box::pin(stream::empty()));
            *content = Box::pin(stream::iter([Ok(rest)]).chain(later));
        }
    }
    Ok(taken.freeze())
}

fn require_length(came: u64, length: u64) -> Result<()> {
    if came == length {
        return Ok(());
    }
    Err(Error::internal(format!("{came} bytes of an object came, and it has {length}")))
}

fn broken_off(read: u64, length: u64) -> Error {
    Error::unavailable(format!("storage GetObject: the body broke off after {read} of {length} bytes"))
}

fn failed<E>(call: Call, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match status(error) {
        Some(402) => Error::denied(format!(
            "storage {}: the project is over its quota and gives no objects; raise its plan or its spend cap",
            call.operation
        )),
        _ => {
            let failed = call.failed(error);
            match failed.kind() {
                ErrorKind::Denied => Error::denied(format!(
                    "storage {}: refused; the keys of the storage address must be S3 access keys of the project, from its settings of Storage",
                    call.operation
                ))
                .with_source(failed.to_string()),
                _ => failed,
            }
        }
    }
}

//! The port on Supabase Storage: buckets of objects, which the project's database lists and an endpoint of its own gives and takes.
//!
//! An object has no versions there: what is given is what it is now, which may be newer than what the database listed.

use crate::error::Result;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The bytes of an object, in chunks of any size.
pub type Content = BoxStream<'static, Result<Bytes>>;

/// An object, as the project's database lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its bucket.
    pub bucket: String,
    /// Its name in the bucket, with its folders.
    pub name: String,
    /// What the project calls this content of it; another content has another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The entity tag of its content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub etag: Option<String>,
    /// The bytes of its content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
    /// When it was last written, as the database writes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated_at: Option<String>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// How long others may keep it, as HTTP says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_control: Option<String>,
}

impl fmt::Display for StoredObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.name)
    }
}

/// What the endpoint gives of an object.
pub struct Given {
    /// Its bytes.
    pub length: u64,
    /// Its entity tag, without quotes.
    pub etag: Option<String>,
    /// The bytes themselves.
    pub content: Content,
}

/// The objects of a project.
#[async_trait::async_trait]
pub trait Storage: Send + Sync {
    /// Where they are, for people: the endpoint's host.
    fn place(&self) -> &str;

    /// An object as it is now.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Denied`, also when the project is over its quota; `Unavailable`.
    async fn get(&self, object: &StoredObject) -> Result<Given>;

    /// Writes an object over whatever is there, with its media type; makes its bucket if there is none. Nothing is there that was
    /// not there before unless all of the content came, `length` bytes.
    ///
    /// # Errors
    /// The content's; `Denied`, `Unavailable`.
    async fn put(&self, object: &StoredObject, length: u64, content: Content) -> Result<()>;
}

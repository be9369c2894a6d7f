//! Supabase Storage in memory.

use crate::faults::FaultScript;
use crate::lock;
use bytes::Bytes;
use engine::error::{Error, Result};
use engine::stage::Sha256;
use engine::storage::{Content, Given, Storage, StoredObject};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Chunks end anywhere.
const CHUNK_BYTES: usize = 1_000;

/// The objects of a project.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
    faults: FaultScript,
}

#[derive(Debug, Default)]
struct State {
    /// By bucket and name: the version, and the content.
    objects: BTreeMap<(String, String), (u64, Bytes)>,
    written: u64,
}

impl MemoryStorage {
    /// An empty one.
    pub fn new(faults: FaultScript) -> Self {
        Self { state: Arc::default(), faults }
    }

    /// Writes an object, as the project's users do.
    pub fn write(&self, bucket: &str, name: &str, content: impl Into<Bytes>) {
        let mut state = lock(&self.state);
        state.written += 1;
        let version = state.written;
        state.objects.insert((bucket.to_owned(), name.to_owned()), (version, content.into()));
    }

    /// Deletes an object.
    pub fn delete(&self, bucket: &str, name: &str) {
        lock(&self.state).objects.remove(&(bucket.to_owned(), name.to_owned()));
    }

    /// All contents, by bucket and name.
    pub fn contents(&self) -> BTreeMap<(String, String), Bytes> {
        lock(&self.state).objects.iter().map(|(name, (_, content))| (name.clone(), content.clone())).collect()
    }

    /// As the project's database lists them.
    pub fn list(&self) -> Vec<StoredObject> {
        let object = |((bucket, name), (version, content)): (&(String, String), &(u64, Bytes))| StoredObject {
            bucket: bucket.clone(),
            name: name.clone(),
            version: Some(version.to_string()),
            etag: Some(etag(content)),
            bytes: Some(content.len() as u64),
            updated_at: None,
            content_type: Some("text/plain".to_owned()),
            cache_control: None,
        };
        lock(&self.state).objects.iter().map(object).collect()
    }
}

fn etag(content: &[u8]) -> String {
    Sha256::of(content).to_string()[..32].to_owned()
}

#[async_trait::async_trait]
impl Storage for MemoryStorage {
    fn place(&self) -> &str {
        "memory"
    }

    async fn get(&self, object: &StoredObject) -> Result<Given> {
        let key = (object.bucket.clone(), object.name.clone());
        let get = || {
            let state = lock(&self.state);
            let (_, content) = state.objects.get(&key).ok_or_else(|| Error::not_found("there is no such object"))?;
            let chunks: Vec<Result<Bytes>> =
                content.chunks(CHUNK_BYTES).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
            let content_stream: Content = Box::pin(stream::iter(chunks));
            Ok(Given { length: content.len() as u64, etag: Some(etag(content)), content: content_stream })
        };
        self.faults.call("storage", "get", object, get).await
    }

    async fn put(&self, object: &StoredObject, length: u64, mut content: Content) -> Result<()> {
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        if bytes.len() as u64 != length {
            return Err(Error::internal(format!("{} of {length} bytes came", bytes.len())));
        }
        let put = || {
            self.write(&object.bucket, &object.name, bytes);
            Ok(())
        };
        self.faults.call("storage", "put", object, put).await
    }
}

//! What is outside of the function: an error of the catalog or of a queue is never the fault of whoever asks.

use engine::catalog::{Catalog, Collection, Document, DocumentPage, Lease, Versioned};
use engine::clock::Timestamp;
use engine::error::{Error, ErrorKind, Result};
use engine::queue::Queue;
use std::sync::Arc;

/// A port whose errors are this deployment's, unless they are what the port is asked for.
pub(crate) struct Outside<P: ?Sized>(pub(crate) Arc<P>);

/// A table or queue that is not there, or a request that it does not take, is something to mend here.
fn ours(e: Error) -> Error {
    match e.kind() {
        ErrorKind::NotFound | ErrorKind::Invalid => {
            Error::internal("the catalog or a queue refuses what is asked of it").with_source(e)
        }
        _ => e,
    }
}

#[async_trait::async_trait]
impl Catalog for Outside<dyn Catalog> {
    async fn insert(&self, document: &Document) -> Result<()> {
        self.0.insert(document).await.map_err(ours)
    }

    async fn replace(&self, document: &Document, revision: u64) -> Result<()> {
        self.0.replace(document, revision).await.map_err(ours)
    }

    async fn remove(&self, collection: Collection, id: &str, revision: u64) -> Result<()> {
        self.0.remove(collection, id, revision).await.map_err(ours)
    }

    async fn get(&self, collection: Collection, id: &str) -> Result<Option<Versioned<Document>>> {
        self.0.get(collection, id).await.map_err(ours)
    }

    async fn list(&self, collection: Collection, before: Option<&str>, limit: usize) -> Result<DocumentPage> {
        self.0.list(collection, before, limit).await.map_err(ours)
    }

    async fn acquire(&self, name: &str, holder: &str, now: Timestamp, expires_at: Timestamp) -> Result<Lease> {
        self.0.acquire(name, holder, now, expires_at).await.map_err(ours)
    }

    async fn renew(&self, lease: &Lease, expires_at: Timestamp) -> Result<Lease> {
        self.0.renew(lease, expires_at).await.map_err(ours)
    }
}

#[async_trait::async_trait]
impl<O: Sync> Queue<O> for Outside<dyn Queue<O>> {
    async fn send(&self, order: &O, after_s: u32) -> Result<()> {
        self.0.send(order, after_s).await.map_err(ours)
    }
}

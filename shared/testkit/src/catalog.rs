//! A catalog in memory.

use crate::faults::FaultScript;
use crate::lock;
use engine::catalog::{Catalog, Collection, Document, DocumentPage, Lease, SnapshotRecord, Versioned};
use engine::clock::Timestamp;
use engine::error::{Error, Result};
use engine::limits::PAGE_MAX;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Mutex;

const SERVICE: &str = "catalog";

/// A catalog in memory.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    faults: FaultScript,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    documents: BTreeMap<(Collection, String), Versioned<Document>>,
    leases: BTreeMap<String, Lease>,
}

impl MemoryCatalog {
    /// An empty one. Its calls are recorded under `catalog`.
    pub fn new(faults: FaultScript) -> Self {
        Self { faults, state: Mutex::default() }
    }

    /// Loses every record and every lease, as a table that was deleted and made again.
    pub fn wipe(&self) {
        *lock(&self.state) = State::default();
    }

    /// The records of all backups, oldest first: for comparing end states.
    ///
    /// # Errors
    /// Never, but for a record that cannot be read back.
    pub fn records(&self) -> Result<Vec<SnapshotRecord>> {
        let read = |document: &Document| {
            serde_json::from_str(&document.json).map_err(|e| Error::corrupt("a record cannot be read").with_source(e))
        };
        let state = lock(&self.state);
        let backups = state.documents.iter().filter(|((collection, _), _)| *collection == Collection::Backups);
        backups.map(|(_, kept)| read(&kept.value)).collect()
    }

    /// The lease of a name, as it is kept.
    pub fn lease(&self, name: &str) -> Option<Lease> {
        lock(&self.state).leases.get(name).cloned()
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        key: impl Display + Send,
        effect: impl FnOnce(&mut State) -> Result<T> + Send,
    ) -> Result<T> {
        self.faults.call(SERVICE, operation, key, || effect(&mut lock(&self.state))).await
    }
}

fn stale(collection: Collection, id: &str, revision: u64) -> Error {
    Error::conflict(format!("{} {id} is no longer at revision {revision}", collection.noun()))
}

#[async_trait::async_trait]
impl Catalog for MemoryCatalog {
    async fn insert(&self, document: &Document) -> Result<()> {
        let Document { collection, id, .. } = document;
        self.call("insert", id, |state| {
            let key = (*collection, id.clone());
            if state.documents.contains_key(&key) {
                return Err(Error::conflict(format!("the catalog has a {} {id} already", collection.noun())));
            }
            state.documents.insert(key, Versioned { value: document.clone(), revision: 1 });
            Ok(())
        })
        .await
    }

    async fn replace(&self, document: &Document, revision: u64) -> Result<()> {
        let Document { collection, id, .. } = document;
        self.call("replace", id, |state| match state.documents.get_mut(&(*collection, id.clone())) {
            Some(kept) if kept.revision == revision => {
                *kept = Versioned { value: document.clone(), revision: revision + 1 };
                Ok(())
            }
            _ => Err(stale(*collection, id, revision)),
        })
        .await
    }

    async fn remove(&self, collection: Collection, id: &str, revision: u64) -> Result<()> {
        self.call("remove", id, |state| {
            let key = (collection, id.to_owned());
            match state.documents.get(&key) {
                Some(kept) if kept.revision != revision => Err(stale(collection, id, revision)),
                _ => {
                    state.documents.remove(&key);
                    Ok(())
                }
            }
        })
        .await
    }

    async fn get(&self, collection: Collection, id: &str) -> Result<Option<Versioned<Document>>> {
        self.call("get", id, |state| Ok(state.documents.get(&(collection, id.to_owned())).cloned())).await
    }

    async fn list(&self, collection: Collection, before: Option<&str>, limit: usize) -> Result<DocumentPage> {
        self.call("list", before.unwrap_or_default(), |state| {
            if !(1..=PAGE_MAX).contains(&limit) {
                return Err(Error::invalid(format!("a page of {collection} has 1 to {PAGE_MAX}, not {limit}")));
            }
            let of_it = state.documents.iter().rev().filter(|((c, _), _)| *c == collection);
            let older = of_it.filter(|((_, id), _)| before.is_none_or(|before| id.as_str() < before));
            let mut documents: Vec<Document> = older.take(limit + 1).map(|(_, kept)| kept.value.clone()).collect();
            let more = documents.len() > limit;
            documents.truncate(limit);
            let next = documents.last().filter(|_| more).map(|d| d.id.clone());
            Ok(DocumentPage { documents, next })
        })
        .await
    }

    async fn acquire(&self, name: &str, holder: &str, now: Timestamp, expires_at: Timestamp) -> Result<Lease> {
        self.call("acquire", name, |state| {
            let epoch = match state.leases.get(name) {
                None => 1,
                Some(kept) if kept.holder == holder => kept.epoch,
                Some(kept) if kept.expires_at < now => kept.epoch + 1,
                Some(kept) => {
                    return Err(Error::conflict(format!("{} holds `{name}` until {}", kept.holder, kept.expires_at)));
                }
            };
            let lease = Lease { name: name.to_owned(), holder: holder.to_owned(), epoch, expires_at };
            state.leases.insert(name.to_owned(), lease.clone());
            Ok(lease)
        })
        .await
    }

    async fn renew(&self, lease: &Lease, expires_at: Timestamp) -> Result<Lease> {
        self.call("renew", &lease.name, |state| match state.leases.get_mut(&lease.name) {
            Some(kept) if kept.holder == lease.holder && kept.epoch == lease.epoch => {
                kept.expires_at = expires_at;
                Ok(kept.clone())
            }
            _ => Err(Error::conflict(format!(
                "the lease on `{}` at epoch {} has passed on to another",
                lease.name, lease.epoch
            ))),
        })
        .await
    }
}

//! A catalog in memory. Records are kept as the JSON that a real one would keep.

use crate::faults::FaultScript;
use crate::lock;
use engine::catalog::{Catalog, Lease, RecordPage, SnapshotRecord, Versioned};
use engine::clock::Timestamp;
use engine::error::{Error, Result};
use engine::id::SnapshotId;
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
    /// The JSON of each record, and its revision.
    records: BTreeMap<SnapshotId, (String, u64)>,
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

    /// All records, oldest first: for comparing end states.
    ///
    /// # Errors
    /// Never, but for a record that cannot be read back.
    pub fn records(&self) -> Result<Vec<SnapshotRecord>> {
        lock(&self.state).records.values().map(|(json, _)| read(json)).collect()
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

#[async_trait::async_trait]
impl Catalog for MemoryCatalog {
    async fn insert(&self, record: &SnapshotRecord) -> Result<()> {
        self.call("insert", record.id, |state| {
            if state.records.contains_key(&record.id) {
                return Err(Error::conflict(format!("the catalog has a backup {} already", record.id)));
            }
            state.records.insert(record.id, (write(record)?, 1));
            Ok(())
        })
        .await
    }

    async fn replace(&self, record: &SnapshotRecord, revision: u64) -> Result<()> {
        self.call("replace", record.id, |state| match state.records.get_mut(&record.id) {
            Some(kept) if kept.1 == revision => {
                *kept = (write(record)?, revision + 1);
                Ok(())
            }
            _ => Err(Error::conflict(format!("backup {} is no longer at revision {revision}", record.id))),
        })
        .await
    }

    async fn get(&self, id: SnapshotId) -> Result<Option<Versioned<SnapshotRecord>>> {
        self.call("get", id, |state| {
            let found = state.records.get(&id);
            found.map(|(json, revision)| Ok(Versioned { value: read(json)?, revision: *revision })).transpose()
        })
        .await
    }

    async fn list(&self, before: Option<SnapshotId>, limit: usize) -> Result<RecordPage> {
        let key = before.map_or_else(String::new, |id| id.to_string());
        self.call("list", key, |state| {
            if !(1..=PAGE_MAX).contains(&limit) {
                return Err(Error::invalid(format!("a page of backups has 1 to {PAGE_MAX}, not {limit}")));
            }
            let older = state.records.iter().rev().filter(|(id, _)| before.is_none_or(|before| **id < before));
            let mut records = older.take(limit + 1).map(|(_, (json, _))| read(json)).collect::<Result<Vec<_>>>()?;
            let more = records.len() > limit;
            records.truncate(limit);
            let next = records.last().filter(|_| more).map(|r| r.id);
            Ok(RecordPage { records, next })
        })
        .await
    }

    async fn acquire(&self, name: &str, holder: SnapshotId, now: Timestamp, expires_at: Timestamp) -> Result<Lease> {
        self.call("acquire", name, |state| {
            let epoch = match state.leases.get(name) {
                None => 1,
                Some(kept) if kept.holder == holder => kept.epoch,
                Some(kept) if kept.expires_at < now => kept.epoch + 1,
                Some(kept) => {
                    return Err(Error::conflict(format!(
                        "backup {} works on `{name}` until {}",
                        kept.holder, kept.expires_at
                    )));
                }
            };
            let lease = Lease { name: name.to_owned(), holder, epoch, expires_at };
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
                "the lease on `{}` at epoch {} has passed on to another backup",
                lease.name, lease.epoch
            ))),
        })
        .await
    }
}

fn write(record: &SnapshotRecord) -> Result<String> {
    serde_json::to_string(record).map_err(|e| Error::internal("a record cannot be written").with_source(e))
}

fn read(json: &str) -> Result<SnapshotRecord> {
    serde_json::from_str(json).map_err(|e| Error::corrupt("a record cannot be read").with_source(e))
}

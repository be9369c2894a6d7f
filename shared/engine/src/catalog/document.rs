//! Documents of the catalog, and the records that they hold: read, changed and written back as what they mean.

use super::Catalog;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::limits::{AMEND_TRIES, PAGE_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// A part of the catalog: one kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// The backups.
    Backups,
    /// What each run of `prune` decided and did.
    Prunes,
    /// What no snapshot needs any more, and since when, of each vault.
    Marks,
    /// The snapshots that restores read.
    Holds,
    /// What each run of `verify` looked at and found.
    Verifications,
    /// What came of each drill.
    Drills,
    /// What the backups take, day by day.
    Usages,
    /// The rotations of keys.
    Rotations,
    /// What is inside each backup.
    Contents,
    /// The restores that were asked for.
    Restores,
    /// Requests that were answered, by their idempotency keys.
    Claims,
    /// How much each person asked for lately.
    Quotas,
    /// Who asked for what, and what came of it.
    Audits,
}

impl Collection {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Backups,
        Self::Prunes,
        Self::Marks,
        Self::Holds,
        Self::Verifications,
        Self::Drills,
        Self::Usages,
        Self::Rotations,
        Self::Contents,
        Self::Restores,
        Self::Claims,
        Self::Quotas,
        Self::Audits,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backups => "backups",
            Self::Prunes => "prunes",
            Self::Marks => "marks",
            Self::Holds => "holds",
            Self::Verifications => "verifications",
            Self::Drills => "drills",
            Self::Usages => "usages",
            Self::Rotations => "rotations",
            Self::Contents => "contents",
            Self::Restores => "restores",
            Self::Claims => "claims",
            Self::Quotas => "quotas",
            Self::Audits => "audits",
        }
    }

    /// One of it, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Backups => "backup",
            Self::Prunes => "prune run",
            Self::Marks => "list of marks",
            Self::Holds => "hold of backup",
            Self::Verifications => "verification",
            Self::Drills => "drill",
            Self::Usages => "count of usage",
            Self::Rotations => "rotation of keys",
            Self::Contents => "list of contents of backup",
            Self::Restores => "restore",
            Self::Claims => "claim of an idempotency key",
            Self::Quotas => "count of requests",
            Self::Audits => "entry of the audit",
        }
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where.
    pub collection: Collection,
    /// Its id: ids of one collection are listed in the order of their text.
    pub id: String,
    /// Its JSON.
    pub json: String,
}

impl Document {
    fn of<R: Record>(record: &R) -> Result<Self> {
        let (collection, id) = (R::COLLECTION, record.id().to_string());
        let json = serde_json::to_string(record).map_err(|e| {
            Error::internal(format!("the record of {} {id} cannot be written", collection.noun())).with_source(e)
        })?;
        Ok(Self { collection, id, json })
    }

    /// The record.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn read<R: Record>(&self) -> Result<R> {
        let unreadable = || {
            Error::corrupt(format!(
                "the catalog's record of {} {} cannot be read; rebuild the catalog from a vault",
                self.collection.noun(),
                self.id
            ))
        };
        let record: R = serde_json::from_str(&self.json).map_err(|e| unreadable().with_source(e))?;
        if record.id().to_string() != self.id {
            return Err(unreadable());
        }
        Ok(record)
    }
}

/// A record or document, and the revision it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Counts its writes; grows by one a write.
    pub revision: u64,
}

/// A page of documents, greatest id first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentPage {
    /// The documents.
    pub documents: Vec<Document>,
    /// Give this to get the next page; `None` when this is the last.
    pub next: Option<String>,
}

/// A page of records, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<R: Record> {
    /// The records.
    pub records: Vec<R>,
    /// Give this to get the next page; `None` when this is the last.
    pub next: Option<R::Id>,
}

/// What a collection holds.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Which collection.
    const COLLECTION: Collection;
    /// What tells its records apart.
    type Id: RecordId<Record = Self>;
    /// Which one this is.
    fn id(&self) -> Self::Id;
}

/// What tells the records of one collection apart.
pub trait RecordId: fmt::Display + Copy + Send + Sync {
    /// Of what it is the id.
    type Record: Record<Id = Self>;
}

/// Adds a record.
///
/// # Errors
/// As [`Catalog::insert`].
pub async fn insert<R: Record>(catalog: &dyn Catalog, record: &R) -> Result<()> {
    catalog.insert(&Document::of(record)?).await
}

/// Replaces a record that is still at `revision`.
///
/// # Errors
/// As [`Catalog::replace`].
pub async fn replace<R: Record>(catalog: &dyn Catalog, record: &R, revision: u64) -> Result<()> {
    catalog.replace(&Document::of(record)?, revision).await
}

/// Removes a record that is still at `revision`.
///
/// # Errors
/// As [`Catalog::remove`].
pub async fn remove<I: RecordId>(catalog: &dyn Catalog, id: I, revision: u64) -> Result<()> {
    catalog.remove(I::Record::COLLECTION, &id.to_string(), revision).await
}

/// The record of an id.
///
/// # Errors
/// As [`Catalog::get`].
pub async fn get<I: RecordId>(catalog: &dyn Catalog, id: I) -> Result<Option<Versioned<I::Record>>> {
    let found = catalog.get(I::Record::COLLECTION, &id.to_string()).await?;
    found.map(|found| Ok(Versioned { value: found.value.read()?, revision: found.revision })).transpose()
}

/// Records with ids below `before`, newest first, at most `limit`.
///
/// # Errors
/// As [`Catalog::list`].
pub async fn list<R: Record>(catalog: &dyn Catalog, before: Option<R::Id>, limit: usize) -> Result<Page<R>> {
    let before = before.map(|id| id.to_string());
    let page = catalog.list(R::COLLECTION, before.as_deref(), limit).await?;
    let records = page.documents.iter().map(Document::read).collect::<Result<Vec<R>>>()?;
    let next = records.last().filter(|_| page.next.is_some()).map(Record::id);
    Ok(Page { records, next })
}

/// Every record of a kind, newest first.
///
/// # Errors
/// As [`Catalog::list`].
pub async fn all<R: Record>(catalog: &dyn Catalog) -> Result<Vec<R>> {
    newest(catalog, PAGE_MAX, |_| false).await
}

/// The newest records of a kind, newest first: page by page, until those that were read suffice.
///
/// # Errors
/// As [`Catalog::list`].
pub async fn newest<R: Record>(
    catalog: &dyn Catalog,
    page: usize,
    suffice: impl Fn(&[R]) -> bool + Send,
) -> Result<Vec<R>> {
    let (mut records, mut before) = (Vec::new(), None);
    loop {
        let read = list::<R>(catalog, before, page).await.context(format!("list each {}", R::COLLECTION.noun()))?;
        records.extend(read.records);
        match read.next {
            Some(next) if !suffice(&records) => before = Some(next),
            _ => return Ok(records),
        }
    }
}

/// Removes the records that are over. One that was written again meanwhile stays until the next time.
///
/// # Errors
/// Those of the catalog.
pub async fn forget<R: Record>(catalog: &dyn Catalog, is_over: impl Fn(&R) -> bool + Send + Sync) -> Result<()> {
    let noun = R::COLLECTION.noun();
    let mut before = None;
    loop {
        let page = list::<R>(catalog, before, PAGE_MAX).await.context(format!("list each {noun}"))?;
        for id in page.records.iter().filter(|r| is_over(r)).map(Record::id) {
            let Some(found) = get(catalog, id).await?.filter(|found| is_over(&found.value)) else { continue };
            match remove(catalog, id, found.revision).await {
                Err(e) if e.kind() == ErrorKind::Conflict => {}
                removed => removed.context(format!("forget the {noun} {id}"))?,
            }
        }
        match page.next {
            Some(next) => before = Some(next),
            None => return Ok(()),
        }
    }
}

/// Reads a record, changes it, and writes it back; again if somebody else wrote in between. `change` answers whether
/// there is anything to write.
///
/// # Errors
/// `NotFound` when there is no such record; those of `change` and of the catalog.
pub async fn amend<I: RecordId>(
    catalog: &dyn Catalog,
    id: I,
    mut change: impl FnMut(&mut I::Record) -> Result<bool> + Send,
) -> Result<I::Record> {
    let noun = I::Record::COLLECTION.noun();
    for _ in 0..AMEND_TRIES {
        let Some(Versioned { value: mut record, revision }) =
            get(catalog, id).await.context(format!("read the record of {noun} {id}"))?
        else {
            return Err(Error::not_found(format!("the catalog has no {noun} {id}")));
        };
        if !change(&mut record)? {
            return Ok(record);
        }
        match replace(catalog, &record, revision).await {
            Ok(()) => return Ok(record),
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(e.context(format!("write the record of {noun} {id}"))),
        }
    }
    Err(Error::conflict(format!("the record of {noun} {id} was changed by others {AMEND_TRIES} times in a row")))
}

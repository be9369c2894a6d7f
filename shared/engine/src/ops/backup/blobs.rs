//! Copies the objects of the project's Storage, after its rows: a row may name an object that is newer than itself, never one that
//! nobody had written yet.

use super::Backup;
use super::attempt::{Attempt, Making, told_to_stop};
use super::progress::{Counters, blob_weight};
use super::reading::Read;
use super::treatment::bucket_of;
use crate::blob::{Blob, BlobContent, KnownBlobs, by_bucket};
use crate::catalog::Warning;
use crate::envelope::SealKey;
use crate::error::{Error, ErrorKind, Result};
use crate::extent::ExtentWriter;
use crate::keyring::Keyring;
use crate::limits::CHECKPOINT_S;
use crate::object::ObjectRef;
use crate::packing::Packing;
use crate::source::{Coverage, CoverageState};
use crate::stage::Sha256Meter;
use crate::storage::{Storage, StoredObject};
use futures::StreamExt;
use futures::stream;
use std::sync::Arc;

/// The part of the coverage that this is.
const PART: &str = "storage objects";
/// An object whose content breaks off is asked for so many times in all.
const BLOB_TRIES: usize = 3;

/// Blobs of a snapshot: those that are in packs of this attempt, and those that earlier ones stored.
#[derive(Default)]
pub(super) struct Blobs {
    copied: Vec<Blob>,
    reused: Vec<Blob>,
    /// Copied, and in no checkpoint yet: from here on.
    unlisted: usize,
}

impl Backup {
    /// Copies what is not stored yet. `None` when the time is up; what is stored is listed in a checkpoint then.
    pub(super) async fn blobs(
        &self,
        attempt: &Attempt<'_>,
        making: &mut Making,
        known: &KnownBlobs,
    ) -> Result<Option<Blobs>> {
        let mut blobs = Blobs::default();
        let Some(listed) = making.capture.description().stored_objects else { return Ok(Some(blobs)) };
        let (Some(storage), Some(objects)) = (&self.storage, making.objects.take()) else {
            making.coverage.push(not_configured(listed));
            if listed > 0 {
                making.warnings.push(Warning {
                    code: "storage_not_configured".to_owned(),
                    message: format!(
                        "{listed} objects of Storage are listed in the database and not backed up: set BACKUP_STORAGE_SECRET_ARN"
                    ),
                });
            }
            return Ok(Some(blobs));
        };
        Counters::add(&attempt.counters.blobs_total, objects.len() as u64);
        let mut left = Vec::new();
        let only = attempt.record.part.as_deref().and_then(bucket_of);
        for object in objects {
            // Of other buckets than the one that was asked for the snapshot holds what the last one has.
            if only.is_some_and(|bucket| bucket != object.bucket)
                && let Some(blob) = known.last(&object)
            {
                looked_after(&attempt.counters, &object);
                attempt.counters.blobs_reused.add_bytes(blob.content.as_ref().map_or(0, |c| c.length));
                blobs.reused.push(blob.clone());
                continue;
            }
            match known.find(&object) {
                Some(content) => {
                    looked_after(&attempt.counters, &object);
                    attempt.counters.blobs_reused.add_bytes(content.length);
                    blobs.reused.push(Blob { object, content: Some(content.clone()) });
                }
                None => left.push(object),
            }
        }
        let copier = Copier {
            storage: Arc::clone(storage),
            keyring: Arc::clone(&self.keyring),
            key: making.rows_key(),
            packing: Arc::clone(&making.packing),
            counters: Arc::clone(&attempt.counters),
            level: self.settings.compression_level,
        };
        let mut stop = attempt.stop.clone();
        let mut copies = stream::iter(left).map(|object| copier.copy(object)).buffer_unordered(self.settings.sessions);
        let mut listed_at = self.clock.now();
        let out_of_time = loop {
            tokio::select! {
                biased;
                () = told_to_stop(&mut stop) => break true,
                copied = copies.next() => match copied {
                    Some(blob) => blobs.copied.push(blob?),
                    None => break false,
                },
            }
            if self.clock.now().since(listed_at) >= CHECKPOINT_S * 1_000 {
                listed_at = self.clock.now();
                if let Err(e) = self.list_blobs(attempt, making, &mut blobs).await {
                    tracing::warn!(error = %e, "could not store a checkpoint");
                }
            }
        };
        drop(copies);
        making.packing.flush().await?;
        if out_of_time {
            self.list_blobs(attempt, making, &mut blobs).await?;
            return Ok(None);
        }
        making.coverage.push(covered(&blobs, storage.place()));
        making.warnings.extend(warnings(&blobs));
        Ok(Some(blobs))
    }

    /// Lists in a checkpoint what was stored since the last one, if anything was.
    async fn list_blobs(&self, attempt: &Attempt<'_>, making: &mut Making, blobs: &mut Blobs) -> Result<()> {
        let packs = making.packing.packs().await;
        let is_stored = |blob: &Blob| {
            let mut extents = blob.content.iter().flat_map(|c| &c.extents);
            extents.all(|e| packs.get(e.pack as usize).is_some_and(|(_, stored)| *stored))
        };
        // Packs are filled in the order in which blobs end, but for those that were begun together: these wait for the next time.
        let ready = blobs.copied[blobs.unlisted..].iter().take_while(|b| is_stored(b)).count();
        let mut listed: Vec<Blob> = blobs.copied[blobs.unlisted..blobs.unlisted + ready].to_vec();
        blobs.unlisted += ready;
        let mut read = Read::default();
        for content in listed.iter_mut().filter_map(|b| b.content.as_mut()) {
            read.adopt(&mut content.extents, |n| packs[n].0);
        }
        self.store_checkpoint_of(attempt, making, read.packs, Vec::new(), listed).await
    }
}

/// What the copies of an attempt share.
struct Copier {
    storage: Arc<dyn Storage>,
    keyring: Arc<Keyring>,
    key: Arc<SealKey>,
    packing: Arc<Packing>,
    counters: Arc<Counters>,
    level: i32,
}

impl Copier {
    /// A content that breaks off is asked for again. What came of it stays in its pack, and nothing refers to it.
    async fn copy(&self, object: StoredObject) -> Result<Blob> {
        let mut tries = 1;
        loop {
            match self.copy_once(object.clone()).await {
                Err(e) if e.kind() == ErrorKind::Unavailable && tries < BLOB_TRIES => tries += 1,
                Err(e) => {
                    let what = format!("copy an object of bucket {} from {}", object.bucket, self.storage.place());
                    return Err(e.context(what));
                }
                Ok(blob) => {
                    looked_after(&self.counters, &blob.object);
                    return Ok(blob);
                }
            }
        }
    }

    async fn copy_once(&self, object: StoredObject) -> Result<Blob> {
        let given = match self.storage.get(&object).await {
            Ok(given) => given,
            // Whoever deleted it after the transaction snapshot meant it.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Blob { object, content: None }),
            Err(e) => return Err(e),
        };
        let newer = is_newer(&object, given.length, given.etag.as_deref());
        let mut writer = ExtentWriter::new(&self.keyring, &self.key, self.level)?;
        let (mut extents, mut meter, mut length) = (Vec::new(), Sha256Meter::default(), 0u64);
        let mut content = given.content;
        while let Some(chunk) = content.next().await.transpose()? {
            meter.write(&chunk);
            length += chunk.len() as u64;
            if let Some(extent) = writer.write(&chunk)? {
                extents.push(self.packing.add(&extent).await?);
            }
        }
        if let Some(extent) = writer.finish()? {
            extents.push(self.packing.add(&extent).await?);
        }
        if length != given.length {
            return Err(Error::unavailable(format!("{length} of {} bytes came", given.length)));
        }
        self.counters.blobs_copied.add_bytes(length);
        Ok(Blob { object, content: Some(BlobContent { length, sha256: meter.finish(), newer, extents }) })
    }
}

fn looked_after(counters: &Counters, object: &StoredObject) {
    Counters::add(&counters.blobs, 1);
    Counters::add(&counters.disk_bytes, blob_weight(object));
}

/// Whether an object was written again after the database was looked at.
fn is_newer(object: &StoredObject, length: u64, etag: Option<&str>) -> bool {
    let other_length = object.bytes.is_some_and(|bytes| bytes != length);
    let other_etag = matches!((&object.etag, etag), (Some(listed), Some(given)) if listed != given);
    other_length || other_etag
}

impl Blobs {
    /// All of them, their extents in the packs of a snapshot.
    pub(super) fn adopted(self, read: &mut Read, own: &[ObjectRef], known: &KnownBlobs) -> Vec<Blob> {
        let mut adopt = |mut blob: Blob, packs: &[ObjectRef]| {
            if let Some(content) = &mut blob.content {
                read.adopt(&mut content.extents, |n| packs[n]);
            }
            blob
        };
        let mut all: Vec<Blob> = self.copied.into_iter().map(|b| adopt(b, own)).collect();
        all.extend(self.reused.into_iter().map(|b| adopt(b, known.packs())));
        all.sort_by(|a, b| (&a.object.bucket, &a.object.name).cmp(&(&b.object.bucket, &b.object.name)));
        all
    }
}

fn not_configured(objects: u64) -> Coverage {
    let (state, detail) = match objects {
        0 => (CoverageState::NotApplicable, "there are none".to_owned()),
        n => (
            CoverageState::NotConfigured,
            format!(
                "{n} objects are listed in the database; their bytes are not backed up: set BACKUP_STORAGE_SECRET_ARN"
            ),
        ),
    };
    Coverage { part: PART.to_owned(), state, detail }
}

fn covered(blobs: &Blobs, place: &str) -> Coverage {
    let all = blobs.copied.len() + blobs.reused.len();
    let gone = blobs.copied.iter().filter(|b| b.content.is_none()).count();
    let detail = match gone {
        0 => format!("{all} objects, from {place}"),
        n => format!("{} objects, from {place}; {n} that the database lists were gone", all - n),
    };
    let state = if all == 0 { CoverageState::NotApplicable } else { CoverageState::BackedUp };
    Coverage { part: PART.to_owned(), state, detail }
}

/// What changed between the transaction snapshot and the turn of an object.
fn warnings(blobs: &Blobs) -> Vec<Warning> {
    let told = |code: &str, what: &str, these: Vec<&Blob>| {
        let message = || format!("objects of Storage {what}: {}", by_bucket(these.iter().map(|b| &b.object)));
        (!these.is_empty()).then(|| Warning { code: code.to_owned(), message: message() })
    };
    let gone = blobs.copied.iter().filter(|b| b.content.is_none()).collect();
    let newer = blobs.copied.iter().filter(|b| b.content.as_ref().is_some_and(|c| c.newer)).collect();
    [
        told("storage_gone", "are listed in the database and were not there any more", gone),
        told("storage_newer", "were written again after the moment that the rows show", newer),
    ]
    .into_iter()
    .flatten()
    .collect()
}

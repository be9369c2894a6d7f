//! One attempt: from the transaction snapshot to the inventory.

use super::Backup;
use super::progress::Counters;
use super::reading::{Board, Read, Reading};
use super::treatment::{self, Treatment};
use crate::blob::Blob;
use crate::catalog::{Lease, Phase, SnapshotRecord, SnapshotSummary, Warning};
use crate::checkpoint::Checkpoint;
use crate::clock::Timestamp;
use crate::compress::compress;
use crate::contents::Contents;
use crate::envelope::SealKey;
use crate::error::{Error, Result, ResultExt};
use crate::id::AttemptId;
use crate::inventory::Inventory;
use crate::keyring::Purpose;
use crate::layout::ObjectKey;
use crate::limits::{CHECKPOINT_S, FORMAT_VERSION, LEASE_TTL_S};
use crate::manifest::{Manifest, Origin, TableManifest};
use crate::message;
use crate::object::ObjectRef;
use crate::packing::Packing;
use crate::reuse::Reusable;
use crate::source::{Capture, Coverage, Lineage};
use crate::stage::Storable;
use crate::storage::StoredObject;
use crate::vault::put_once;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

/// A snapshot that is whole in the primary vault.
pub(super) struct Committed {
    pub(super) summary: SnapshotSummary,
    pub(super) contents: Contents,
    pub(super) warnings: Vec<Warning>,
    pub(super) full_reason: Option<String>,
}

/// How an attempt ends if nothing goes wrong.
pub(super) enum Ended {
    Committed(Box<Committed>),
    /// Its time was up; what it has stored is in a checkpoint.
    OutOfTime,
    /// A person stopped it.
    Cancelled,
}

/// What an attempt is, and what its parts share.
pub(super) struct Attempt<'a> {
    pub(super) record: &'a SnapshotRecord,
    pub(super) id: AttemptId,
    pub(super) lease: &'a Lease,
    pub(super) counters: Arc<Counters>,
    /// Turns true when the time is up.
    pub(super) stop: watch::Receiver<bool>,
}

/// The data keys of an attempt. Generated before anything is read, so that a key that cannot be used stops it early.
struct Keys {
    rows: Arc<SealKey>,
    schema: SealKey,
    manifest: SealKey,
    checkpoint: SealKey,
}

impl Backup {
    pub(super) async fn attempt(&self, attempt: &Attempt<'_>) -> Result<Ended> {
        self.vaults.primary().check().await?;
        let keys = Keys {
            rows: Arc::new(self.keyring.seal_key(Purpose::Rows, attempt.id).await?),
            schema: self.keyring.seal_key(Purpose::Schema, attempt.id).await?,
            manifest: self.keyring.seal_key(Purpose::Manifest, attempt.id).await?,
            checkpoint: self.keyring.seal_key(Purpose::Checkpoint, attempt.id).await?,
        };
        let earlier = self.earlier(attempt.record.id).await.context("look for what earlier backups stored")?;
        let capture: Arc<dyn Capture> = self.source.capture().await.context("begin to read the source")?.into();
        let description = capture.description();
        let origin = Origin::new(attempt.id, self.clock.now(), &description.server);
        let objects = match (&self.storage, description.stored_objects) {
            (Some(_), Some(_)) => Some(capture.stored_objects().await?),
            _ => None,
        };
        attempt.counters.begin_copying(description, objects.as_deref().unwrap_or_default());

        let mut warnings = earlier.warnings;
        let not_before = self
            .settings
            .full_every_days
            .map_or(Timestamp::from_millis(0), |days| origin.taken_at.plus_s(-86_400 * i64::from(days)));
        let (reusable, full_reason) = match (self.settings.incremental, earlier.stored.is_empty()) {
            (false, true) => (Reusable::default(), Some("BACKUP_INCREMENTAL is off".to_owned())),
            _ => match Reusable::new(earlier.stored, description, not_before) {
                Ok(reusable) => (reusable, None),
                Err(why) => (Reusable::default(), Some(why)),
            },
        };
        if let Some(why) = &full_reason {
            tracing::info!(backup = %attempt.record.id, reason = %why, "everything is read");
        }
        self.remember(&*capture, attempt.id, reusable.attempts(), &mut warnings).await;

        let counters = Arc::clone(&attempt.counters);
        let on_stored = Arc::new(move |bytes| Counters::add(&counters.bytes_stored, bytes));
        let packing = Packing::new(Arc::clone(self.vaults.primary()), attempt.id, on_stored);
        let mut making = Making {
            capture: Arc::clone(&capture),
            packing: Arc::new(packing),
            keys,
            origin,
            checkpoints: 0,
            warnings,
            coverage: Vec::new(),
            objects,
            blobs_follow: false,
            full_reason,
        };
        let part = attempt.record.part.as_deref();
        let treatments = self.treatments(part, description, making.objects.as_deref(), &reusable, origin.taken_at)?;
        let known = earlier.blobs;
        making.blobs_follow = making.objects.iter().flatten().any(|object| known.find(object).is_none());
        let read = self.read(attempt, &mut making, reusable, treatments).await;
        let schema = capture.schema();
        let closed = capture.close().await;
        let Some(mut read) = read? else { return Ok(Ended::OutOfTime) };
        closed.context("end the transaction snapshot")?;
        let Some(blobs) = self.blobs(attempt, &mut making, &known).await? else { return Ok(Ended::OutOfTime) };
        let own: Vec<ObjectRef> = making.packing.packs().await.into_iter().map(|(pack, _)| pack).collect();
        let rows = read.packs.len();
        let mut blobs = blobs.adopted(&mut read, &own, &known);
        if let Some(wrong) = self.look(&read.packs[rows..], &own).await? {
            return Err(Error::corrupt(wrong));
        }
        let moved = self.repack(&mut read, &mut blobs, attempt).await;
        Counters::add(&attempt.counters.bytes_repacked, moved);

        attempt.counters.enter(Phase::Committing);
        let schema = self.store_schema(attempt.record, &making.keys.schema, schema).await?;
        let committed = self.store_manifest(attempt, making, schema, read, blobs).await?;
        Ok(Ended::Committed(Box::new(committed)))
    }

    /// A database that cannot remember is backed up all the same; the next backup reads everything.
    async fn remember(
        &self,
        capture: &dyn Capture,
        attempt: AttemptId,
        keep: &BTreeSet<AttemptId>,
        warnings: &mut Vec<Warning>,
    ) {
        let why = match &capture.description().lineage {
            Lineage::Known(_) => match capture.remember(attempt, keep).await {
                Ok(()) => return,
                Err(e) => e.to_string(),
            },
            Lineage::Unknown(why) => why.clone(),
        };
        tracing::warn!(error = %why, "the database does not remember this backup; the next one reads everything");
        warnings.push(Warning {
            code: "no_lineage".to_owned(),
            message: format!("the next backup will read everything: {why}"),
        });
    }

    /// Reads everything that is not stored yet, and makes sure of the rest. `None` when the time is up.
    async fn read(
        &self,
        attempt: &Attempt<'_>,
        making: &mut Making,
        reusable: Reusable,
        mut treatments: Vec<Treatment>,
    ) -> Result<Option<Read>> {
        let mut reusable = Some(reusable);
        loop {
            let reading = Arc::new(Reading {
                capture: Arc::clone(&making.capture),
                board: Mutex::new(Board::new(&treatments)),
                treatments: treatments.clone(),
                packing: Arc::clone(&making.packing),
                keyring: Arc::clone(&self.keyring),
                key: Arc::clone(&making.keys.rows),
                settings: self.settings.clone(),
                counters: Arc::clone(&attempt.counters),
                reusable: reusable.take().unwrap_or_default(),
            });
            reading.begin();
            if !self.copy(attempt, making, &reading).await? {
                return Ok(None);
            }
            let mut wrong = self.sample(&reading).await.context("read a sample again")?;
            if making.blobs_follow {
                // They may take longer than there is time: then these rows are not read again.
                self.store_checkpoint(attempt, making, &reading).await?;
            }
            let packs = making.packing.packs().await;
            let read = reading.read(making.origin, &packs)?;
            if wrong.is_none() {
                let own: Vec<ObjectRef> = packs.iter().map(|(pack, _)| *pack).collect();
                wrong = self.look(&read.packs, &own).await?;
            }
            let Some(wrong) = wrong else { return Ok(Some(read)) };
            // Nothing that was stored earlier is believed any more, now or later.
            tracing::error!(backup = %attempt.record.id, alarm = "sample_differs", error = %wrong, "everything is read again");
            making.warnings.push(Warning { code: "sample_differs".to_owned(), message: wrong.clone() });
            making.full_reason = Some(wrong);
            self.remember(&*making.capture, attempt.id, &BTreeSet::new(), &mut making.warnings).await;
            treatments.iter_mut().for_each(Treatment::read_if_kept);
            attempt.counters.begin_again();
        }
    }

    /// Lets the sessions read until all is stored; `false` when the time is up before, and what is stored is listed.
    async fn copy(&self, attempt: &Attempt<'_>, making: &mut Making, reading: &Arc<Reading>) -> Result<bool> {
        let mut sessions = JoinSet::new();
        for _ in 0..self.settings.sessions {
            sessions.spawn(Arc::clone(reading).session().in_current_span());
        }
        let mut stop = attempt.stop.clone();
        loop {
            let pause = self.clock.sleep(Duration::from_secs(CHECKPOINT_S as u64));
            tokio::select! {
                biased;
                // The first that fails stops the others.
                ended = sessions.join_next() => match ended {
                    Some(ended) => ended.map_err(|e| Error::internal("a copy session was stopped").with_source(e))??,
                    None => {
                        making.packing.flush().await?;
                        return Ok(true);
                    }
                },
                () = told_to_stop(&mut stop) => {
                    sessions.shutdown().await;
                    making.packing.flush().await?;
                    self.store_checkpoint(attempt, making, reading).await?;
                    return Ok(false);
                }
                () = pause => {
                    if let Err(e) = self.store_checkpoint(attempt, making, reading).await {
                        tracing::warn!(error = %e, "could not store a checkpoint");
                    }
                }
            }
        }
    }

    /// Lists what was stored since the last checkpoint, if anything was.
    async fn store_checkpoint(&self, attempt: &Attempt<'_>, making: &mut Making, reading: &Reading) -> Result<()> {
        let (packs, tables) = reading.unlisted(&making.packing.packs().await);
        self.store_checkpoint_of(attempt, making, packs, tables, Vec::new()).await
    }

    pub(super) async fn store_checkpoint_of(
        &self,
        attempt: &Attempt<'_>,
        making: &mut Making,
        packs: Vec<ObjectRef>,
        tables: Vec<TableManifest>,
        blobs: Vec<Blob>,
    ) -> Result<()> {
        if packs.is_empty() {
            return Ok(());
        }
        let checkpoint = Checkpoint {
            format: FORMAT_VERSION,
            snapshot: attempt.record.id,
            source: attempt.record.source.clone(),
            server: making.capture.description().server.clone(),
            origin: making.origin,
            packs,
            tables,
            blobs,
        };
        let body = checkpoint.seal(&self.keyring, &making.keys.checkpoint, self.settings.compression_level)?;
        let key = ObjectKey::Checkpoint(attempt.id, making.checkpoints);
        making.checkpoints += 1;
        self.store(key, &body).await.context("store a checkpoint")?;
        Ok(())
    }

    async fn store_schema(&self, record: &SnapshotRecord, key: &SealKey, archive: Bytes) -> Result<ObjectRef> {
        let compressed = compress(&archive, self.settings.compression_level)?;
        let body = Storable::message(message::seal(&self.keyring, key, &compressed)?);
        self.store(ObjectKey::Schema(record.id), &body).await.context("store the schema")
    }

    async fn store_manifest(
        &self,
        attempt: &Attempt<'_>,
        making: Making,
        schema: ObjectRef,
        read: Read,
        blobs: Vec<Blob>,
    ) -> Result<Committed> {
        let record = attempt.record;
        let description = making.capture.description().clone();
        let mut warnings = description.warnings;
        warnings.extend(making.warnings);
        let mut coverage = description.coverage;
        coverage.extend(treatment::coverage(&read.tables));
        coverage.extend(making.coverage);
        let manifest = Manifest {
            format: FORMAT_VERSION,
            snapshot: record.id,
            attempt: attempt.id,
            source: record.source.clone(),
            taken_at: making.origin.taken_at,
            server: description.server,
            schema,
            origins: read.origins,
            packs: read.packs,
            tables: read.tables,
            sequences: description.sequences,
            roles: description.roles,
            large_objects: description.large_objects,
            materialized_views: description.materialized_views,
            blobs,
            coverage,
            warnings,
        };
        // What the reader will assert is asserted before anything names it.
        manifest.check().context("check the manifest before it is stored")?;
        let body = manifest.seal(&self.keyring, &making.keys.manifest, self.settings.compression_level)?;
        let sealed = self.store(ObjectKey::Manifest(record.id), &body).await.context("store the manifest")?;
        let inventory = Inventory::new(&manifest, sealed, record.started_at);
        // An attempt that lost its lease commits nothing.
        self.catalog
            .renew(attempt.lease, self.clock.now().plus_s(LEASE_TTL_S))
            .await
            .context("keep the lease before the commit")?;
        let body = inventory.encode()?;
        self.store(inventory.key(), &body).await.context("store the inventory")?;
        Ok(Committed {
            summary: inventory.summary(&body),
            contents: Contents::of(&manifest),
            warnings: manifest.warnings,
            full_reason: making.full_reason,
        })
    }

    async fn store(&self, key: ObjectKey, body: &Storable) -> Result<ObjectRef> {
        put_once(&**self.vaults.primary(), &key, body).await?;
        Ok(ObjectRef::of(key, body))
    }
}

/// Comes back when the time is up.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say so.
        std::future::pending::<()>().await;
    }
}

/// A snapshot in the making.
pub(super) struct Making {
    pub(super) capture: Arc<dyn Capture>,
    pub(super) packing: Arc<Packing>,
    keys: Keys,
    origin: Origin,
    /// How many there are.
    checkpoints: u32,
    pub(super) warnings: Vec<Warning>,
    /// Of what no database session reads.
    pub(super) coverage: Vec<Coverage>,
    /// What the database lists of a Storage that is backed up.
    pub(super) objects: Option<Vec<StoredObject>>,
    /// Whether there is more to copy when the rows are.
    blobs_follow: bool,
    full_reason: Option<String>,
}

impl Making {
    /// What rows and blobs are sealed under.
    pub(super) fn rows_key(&self) -> Arc<SealKey> {
        Arc::clone(&self.keys.rows)
    }
}

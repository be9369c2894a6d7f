//! One attempt: from the transaction snapshot to the inventory.

use super::Backup;
use super::packing::Packing;
use super::progress::Counters;
use super::reading::{Board, Reading, lock};
use crate::catalog::{Lease, Phase, SnapshotRecord, SnapshotSummary, Warning};
use crate::compress::compress;
use crate::envelope::SealKey;
use crate::error::{Error, Result, ResultExt};
use crate::id::AttemptId;
use crate::inventory::Inventory;
use crate::keyring::Purpose;
use crate::layout::ObjectKey;
use crate::limits::{FORMAT_VERSION, LEASE_TTL_S};
use crate::manifest::{Manifest, TableManifest};
use crate::message;
use crate::pack::ObjectRef;
use crate::source::Capture;
use crate::stage::Storable;
use crate::vault::put_once;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

/// A snapshot that is whole in the primary vault.
pub(super) struct Committed {
    pub(super) summary: SnapshotSummary,
    pub(super) warnings: Vec<Warning>,
}

/// The data keys of an attempt. Generated before anything is read, so that a key that cannot be used stops it early.
struct Keys {
    rows: SealKey,
    schema: SealKey,
    manifest: SealKey,
}

impl Backup {
    pub(super) async fn attempt(
        &self,
        record: &SnapshotRecord,
        attempt: AttemptId,
        lease: &Lease,
        counters: &Arc<Counters>,
    ) -> Result<Committed> {
        self.vaults.primary().check().await?;
        let keys = Keys {
            rows: self.keyring.seal_key(Purpose::Rows, attempt).await?,
            schema: self.keyring.seal_key(Purpose::Schema, attempt).await?,
            manifest: self.keyring.seal_key(Purpose::Manifest, attempt).await?,
        };
        let capture: Arc<dyn Capture> = self.source.capture().await.context("begin to read the source")?.into();
        let taken_at = self.clock.now();
        counters.begin_copying(capture.description());
        let read = self.read(&capture, attempt, keys.rows, counters).await;
        let (description, schema) = (capture.description().clone(), capture.schema());
        let closed = capture.close().await;
        let (packs, tables) = read?;
        closed.context("end the transaction snapshot")?;

        counters.enter(Phase::Committing);
        let schema = self.store_schema(record, &keys.schema, schema).await?;
        let manifest = Manifest {
            format: FORMAT_VERSION,
            snapshot: record.id,
            attempt,
            source: record.source.clone(),
            taken_at,
            server: description.server,
            schema,
            packs,
            tables,
            sequences: description.sequences,
            roles: description.roles,
            large_objects: description.large_objects,
            materialized_views: description.materialized_views,
            coverage: description.coverage,
            warnings: description.warnings,
        };
        self.store_manifest(record, lease, &keys.manifest, manifest).await
    }

    /// Reads everything there is to read in the transaction snapshot.
    async fn read(
        &self,
        capture: &Arc<dyn Capture>,
        attempt: AttemptId,
        key: SealKey,
        counters: &Arc<Counters>,
    ) -> Result<(Vec<ObjectRef>, Vec<TableManifest>)> {
        let reading = Arc::new(Reading {
            capture: Arc::clone(capture),
            board: Mutex::new(Board::new(capture.description())),
            packing: Packing::new(self.vaults.primary().clone(), attempt, Arc::clone(counters)),
            keyring: Arc::clone(&self.keyring),
            key,
            settings: self.settings.clone(),
            counters: Arc::clone(counters),
        });
        let mut sessions = JoinSet::new();
        for _ in 0..self.settings.sessions {
            sessions.spawn(Arc::clone(&reading).session());
        }
        // The first that fails stops the others.
        while let Some(ended) = sessions.join_next().await {
            ended.map_err(|e| Error::internal("a copy session was stopped").with_source(e))??;
        }
        let packs = reading.packing.finish().await?;
        let tables = std::mem::take(&mut *lock(&reading.board)).into_tables(capture.description())?;
        Ok((packs, tables))
    }

    async fn store_schema(&self, record: &SnapshotRecord, key: &SealKey, archive: Bytes) -> Result<ObjectRef> {
        let compressed = compress(&archive, self.settings.compression_level)?;
        let body = Storable::message(message::seal(&self.keyring, key, &compressed)?);
        self.store(ObjectKey::Schema(record.id), &body).await.context("store the schema")
    }

    async fn store_manifest(
        &self,
        record: &SnapshotRecord,
        lease: &Lease,
        key: &SealKey,
        manifest: Manifest,
    ) -> Result<Committed> {
        // What the reader will assert is asserted before anything names it.
        manifest.check().context("check the manifest before it is stored")?;
        let body = manifest.seal(&self.keyring, key, self.settings.compression_level)?;
        let sealed = self.store(ObjectKey::Manifest(record.id), &body).await.context("store the manifest")?;
        let inventory = Inventory::new(&manifest, sealed, record.started_at);
        // An attempt that lost its lease commits nothing.
        self.catalog
            .renew(lease, self.clock.now().plus_s(LEASE_TTL_S))
            .await
            .context("keep the lease before the commit")?;
        let body = inventory.encode()?;
        self.store(inventory.key(), &body).await.context("store the inventory")?;
        Ok(Committed { summary: inventory.summary(&body), warnings: manifest.warnings })
    }

    async fn store(&self, key: ObjectKey, body: &Storable) -> Result<ObjectRef> {
        put_once(&**self.vaults.primary(), &key, body).await?;
        Ok(ObjectRef::of(key, body))
    }
}

//! Restores one snapshot from one vault into an empty target, and proves it by reading the target back.
//!
//! It needs nothing but the vault and its region's key: no catalog, no other vault. Always holds: everything that the
//! snapshot needs is found to be there before the target is touched; rows are kept only after their segment was opened
//! to its end; `Restored` is given only after every table's digest in the target equals the manifest's.

use crate::catalog::Warning;
use crate::clock::Timestamp;
use crate::compress::decompress;
use crate::digest::{RowMeter, RowTally};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::inventory::{self, Inventory};
use crate::keyring::{Keyring, Purpose, context};
use crate::layout::ObjectKey;
use crate::limits::{LOADS_AHEAD, SCHEMA_BYTES_MAX};
use crate::manifest::{Manifest, TableManifest};
use crate::message;
use crate::pack::ObjectRef;
use crate::segment;
use crate::source::{Run, Table};
use crate::stage::Sha256;
use crate::target::{Loading, Outline, Target};
use crate::vault::Vault;
use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This one.
    Snapshot(SnapshotId),
    /// The newest.
    Newest,
    /// The newest taken at or before an instant (the specification's `restorePoint`).
    AtOrBefore(Timestamp),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// The region it was read from.
    pub region: String,
    /// Tables whose digest equals the manifest's.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// What could not be made, and why.
    pub warnings: Vec<Warning>,
}

/// The operation and its ports.
pub struct Restore {
    /// The vault it reads.
    pub vault: Arc<dyn Vault>,
    /// The keys of that vault's region.
    pub keyring: Arc<Keyring>,
    /// What it restores into.
    pub target: Arc<dyn Target>,
    /// Sessions that load at once.
    pub sessions: usize,
}

impl Restore {
    /// Restores. Interrupted and run again with the same snapshot, it ends in the same database.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot; `Corrupt` when anything stored is not what was stored; those of the
    /// target.
    pub async fn run(&self, selection: Selection) -> Result<Restored> {
        let inventory = select(&*self.vault, selection).await?;
        tracing::info!(backup = %inventory.snapshot, vault = %self.vault.place(), rows = inventory.rows, "restore begins");
        let manifest = self.manifest(&inventory).await?;
        self.require_objects(&inventory).await?;
        let schema = self.schema(&manifest).await?;
        let outline = Outline {
            snapshot: manifest.snapshot,
            server: manifest.server.clone(),
            schema,
            roles: manifest.roles.clone(),
            large_objects: manifest.large_objects.clone(),
            sequences: manifest.sequences.clone(),
            materialized_views: manifest.materialized_views.clone(),
        };
        let loading: Arc<dyn Loading> = self.target.begin(outline).await.context("begin to write the target")?.into();
        self.load(&loading, &manifest).await?;
        tracing::info!(backup = %inventory.snapshot, "rows are loaded");
        let warnings = loading.complete().await.context("make indexes, constraints and triggers")?;
        tracing::info!(backup = %inventory.snapshot, "indexes, constraints and triggers are made");
        self.prove(&loading, &manifest).await?;
        loading.finish().await.context("end the restore")?;
        let tally = manifest.tally();
        tracing::info!(backup = %inventory.snapshot, rows = tally.rows, "restore is proven");
        Ok(Restored {
            snapshot: manifest.snapshot,
            taken_at: manifest.taken_at,
            region: self.vault.place().region.clone(),
            tables: manifest.tables.len() as u64,
            rows: tally.rows,
            bytes: tally.bytes,
            warnings,
        })
    }

    async fn manifest(&self, inventory: &Inventory) -> Result<Manifest> {
        let sealed = self.whole(&inventory.manifest).await?;
        let manifest = Manifest::open(&self.keyring, inventory.attempt, &sealed)
            .await
            .context(format!("open {}", inventory.manifest.key))?;
        // The inventory is clear and anyone who may write the bucket could change it; the manifest is authenticated.
        let agree = manifest.snapshot == inventory.snapshot
            && manifest.attempt == inventory.attempt
            && manifest.schema == inventory.schema
            && manifest.packs == inventory.packs;
        if !agree {
            return Err(Error::corrupt(format!(
                "the manifest and the inventory of {} do not name the same objects",
                inventory.snapshot
            )));
        }
        Ok(manifest)
    }

    async fn schema(&self, manifest: &Manifest) -> Result<Bytes> {
        let sealed = self.whole(&manifest.schema).await?;
        let context = context(Purpose::Schema, manifest.attempt)?;
        let compressed =
            message::open(&self.keyring, &context, &sealed).await.context(format!("open {}", manifest.schema.key))?;
        Ok(decompress(&compressed, SCHEMA_BYTES_MAX)?.into())
    }

    /// An object that must be what the inventory says.
    async fn whole(&self, object: &ObjectRef) -> Result<Bytes> {
        let place = || format!("read {} in the {}", object.key, self.vault.place());
        let bytes = self.vault.get(&object.key).await.context(place())?;
        if Sha256::of(&bytes) != object.sha256 || bytes.len() as u64 != object.length {
            return Err(Error::corrupt("its bytes are not those that the inventory names").context(place()));
        }
        Ok(bytes)
    }

    /// Every pack is there, by length and checksum, before anything of the target is touched.
    async fn require_objects(&self, inventory: &Inventory) -> Result<()> {
        const AT_ONCE: usize = 16;
        let mut heads = futures::stream::iter(&inventory.packs)
            .map(|pack| async move { (pack, self.vault.head(&pack.key).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((pack, found)) = heads.next().await {
            let place = format!("look at {} in the {}", pack.key, self.vault.place());
            match found.context(&place)? {
                Some(meta) if meta.length == pack.length && meta.sha256 == Some(pack.sha256) => {}
                Some(_) => return Err(Error::corrupt("it is not the object that the inventory names").context(place)),
                None => return Err(Error::corrupt("it is missing, and the snapshot needs it").context(place)),
            }
        }
        Ok(())
    }

    async fn load(&self, loading: &Arc<dyn Loading>, manifest: &Manifest) -> Result<()> {
        let packs: Arc<Vec<ObjectKey>> = Arc::new(manifest.packs.iter().map(|p| p.key).collect());
        let mut work = VecDeque::new();
        let mut number = 0u64;
        for table in &manifest.tables {
            let shared = Arc::new(table.table.clone());
            for segment in &table.segments {
                if segment.tally.rows > 0 && !loading.loaded().contains(&number) {
                    work.push_back((number, Arc::clone(&shared), segment.clone()));
                }
                number += 1;
            }
        }
        let (vault, keyring, loading) = (Arc::clone(&self.vault), Arc::clone(&self.keyring), Arc::clone(loading));
        in_sessions(self.sessions * LOADS_AHEAD, work, move |(number, table, segment)| {
            let rows = segment.tally.rows;
            let stream = segment::read(Arc::clone(&vault), Arc::clone(&keyring), Arc::clone(&packs), segment);
            let loading = Arc::clone(&loading);
            async move {
                let added = loading.load(&table, number, stream).await.context(format!("load {}", table.quoted()))?;
                if added != rows {
                    return Err(Error::internal(format!(
                        "{} took {added} of {rows} rows of a segment",
                        table.quoted()
                    )));
                }
                Ok(())
            }
        })
        .await
    }

    /// Reads every table of the target back and compares it with the manifest.
    async fn prove(&self, loading: &Arc<dyn Loading>, manifest: &Manifest) -> Result<()> {
        let mut work = VecDeque::new();
        for (index, table) in manifest.tables.iter().enumerate() {
            let shared = Arc::new(table.table.clone());
            let runs = loading.runs(&table.table).await.context(format!("look at {}", table.table.quoted()))?;
            work.extend(runs.into_iter().map(|run| (index, Arc::clone(&shared), run)));
        }
        let tallies = Arc::new(Mutex::new(vec![RowTally::default(); manifest.tables.len()]));
        let (sum, reader) = (Arc::clone(&tallies), Arc::clone(loading));
        in_sessions(self.sessions, work, move |(index, table, run): (usize, Arc<Table>, Option<Run>)| {
            let (sum, reader) = (Arc::clone(&sum), Arc::clone(&reader));
            async move {
                let tally = read_back(&*reader, &table, run).await.context(format!("read {} back", table.quoted()))?;
                let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                sum[index] = sum[index].plus(tally);
                Ok(())
            }
        })
        .await?;
        let tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
        manifest.tables.iter().zip(tallies.iter()).try_for_each(|(table, found)| require_equal(table, found))
    }
}

fn require_equal(table: &TableManifest, found: &RowTally) -> Result<()> {
    if *found == table.tally {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{} was restored as {} rows with digest {}; the snapshot has {} rows with digest {}: do not use this target",
        table.table.quoted(),
        found.rows,
        found.digest,
        table.tally.rows,
        table.tally.digest
    )))
}

async fn read_back(loading: &dyn Loading, table: &Table, run: Option<Run>) -> Result<RowTally> {
    let (mut rows, mut meter) = (loading.read_back(table, run).await?, RowMeter::default());
    while let Some(chunk) = rows.next().await {
        meter.write(&chunk?);
    }
    meter.finish()
}

/// Does the work in several tasks at once; the first error stops them all.
async fn in_sessions<W, F, R>(sessions: usize, work: VecDeque<W>, act: F) -> Result<()>
where
    W: Send + 'static,
    F: Fn(W) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + Send + 'static,
{
    let (work, act) = (Arc::new(Mutex::new(work)), Arc::new(act));
    let mut tasks = JoinSet::new();
    for _ in 0..sessions.max(1) {
        let (work, act) = (Arc::clone(&work), Arc::clone(&act));
        tasks.spawn(async move {
            loop {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                match next {
                    Some(next) => act(next).await?,
                    None => return Ok(()),
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|e| Error::internal("a session was stopped").with_source(e))??;
    }
    Ok(())
}

/// Finds a snapshot by what the vault itself holds.
///
/// # Errors
/// `NotFound`, saying which snapshots there are.
pub async fn select(vault: &dyn Vault, selection: Selection) -> Result<Inventory> {
    if let Selection::Snapshot(id) = selection {
        return match inventory::read(vault, id).await {
            Ok((inventory, _)) => Ok(inventory),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Err(Error::not_found(format!("the {} has no backup {id}; {}", vault.place(), known(vault).await?)))
            }
            Err(e) => Err(e),
        };
    }
    for id in inventory::list(vault).await?.into_iter().rev() {
        let (inventory, _) = inventory::read(vault, id).await?;
        let chosen = match selection {
            Selection::AtOrBefore(instant) => inventory.taken_at <= instant,
            _ => true,
        };
        if chosen {
            return Ok(inventory);
        }
    }
    let wanted = match selection {
        Selection::AtOrBefore(instant) => format!("no backup taken at or before {instant}"),
        _ => "no backup".to_owned(),
    };
    Err(Error::not_found(format!("the {} has {wanted}; {}", vault.place(), known(vault).await?)))
}

/// The oldest and the newest snapshot of a vault, for an error.
async fn known(vault: &dyn Vault) -> Result<String> {
    let ids = inventory::list(vault).await?;
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok("it holds none at all".to_owned()) };
    let (oldest, _) = inventory::read(vault, *first).await?;
    let (newest, _) = inventory::read(vault, *last).await?;
    Ok(format!("it holds {}, taken from {} ({first}) to {} ({last})", ids.len(), oldest.taken_at, newest.taken_at))
}

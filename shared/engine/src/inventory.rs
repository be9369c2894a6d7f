//! The inventory: the clear list of a snapshot's objects, the last object written, the commit point.
//!
//! It holds names, lengths, checksums and counts, and no row, no key and nothing of the schema. A vault that holds it
//! holds everything that it names.

use crate::catalog::SnapshotSummary;
use crate::clock::Timestamp;
use crate::error::{Error, Result, ResultExt};
use crate::id::{AttemptId, SnapshotId};
use crate::layout::{ObjectKey, SNAPSHOTS};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::manifest::{Manifest, require_known_format};
use crate::object::ObjectRef;
use crate::stage::Storable;
use crate::vault::{Vault, list_all};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The list of a snapshot's objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The format's version.
    pub format: u32,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The attempt that made it: what its manifest and schema are sealed for.
    pub attempt: AttemptId,
    /// The attempt that read it from the source, where it was sealed again since.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub read_by: Option<AttemptId>,
    /// The name of the source.
    pub source: String,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// Tables, rows, and bytes of rows before compression.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of rows before compression.
    pub bytes: u64,
    /// The sealed manifest.
    pub manifest: ObjectRef,
    /// The sealed schema archive.
    pub schema: ObjectRef,
    /// The packs, in the order of the manifest's list.
    pub packs: Vec<ObjectRef>,
}

impl Inventory {
    /// The inventory of a snapshot whose other objects are stored.
    pub fn new(manifest: &Manifest, sealed: ObjectRef, started_at: Timestamp) -> Self {
        let tally = manifest.tally();
        Self {
            format: manifest.format,
            snapshot: manifest.snapshot,
            attempt: manifest.attempt,
            read_by: Some(manifest.read_by()).filter(|read_by| *read_by != manifest.attempt),
            source: manifest.source.clone(),
            started_at,
            taken_at: manifest.taken_at,
            tables: manifest.tables.len() as u64,
            rows: tally.rows,
            bytes: tally.bytes,
            manifest: sealed,
            schema: manifest.schema,
            packs: manifest.packs.clone(),
        }
    }

    /// The attempt that read it from the source.
    pub fn read_by(&self) -> AttemptId {
        self.read_by.unwrap_or(self.attempt)
    }

    /// Its own key.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::Inventory(self.snapshot)
    }

    /// Every object but itself, in the order in which they are written.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.packs.iter().chain([&self.schema, &self.manifest])
    }

    /// What the catalog says of it.
    pub fn summary(&self, encoded: &Storable) -> SnapshotSummary {
        SnapshotSummary {
            taken_at: self.taken_at,
            size: self.objects().map(|o| o.length).sum::<u64>() + encoded.len() as u64,
            checksum: encoded.sha256(),
            tables: self.tables,
            rows: self.rows,
            bytes: self.bytes,
            compression: "zstd".to_owned(),
            path: self.key().to_string(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn encode(&self) -> Result<Storable> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("write the inventory as JSON").with_source(e))?;
        json.push(b'\n');
        Ok(Storable::new(json))
    }

    /// Reads one, which must be of this snapshot.
    ///
    /// # Errors
    /// `Corrupt`; `Unsupported` for a newer format.
    pub fn decode(json: &[u8], snapshot: SnapshotId) -> Result<Self> {
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(Error::corrupt(format!(
                "the inventory has {} bytes; the limit is {MANIFEST_BYTES_MAX}",
                json.len()
            )));
        }
        require_known_format(json, "inventory")?;
        let inventory: Self = serde_json::from_slice(json)
            .map_err(|e| Error::corrupt("the inventory is not the JSON of this format").with_source(e))?;
        let right_keys = inventory.snapshot == snapshot
            && inventory.manifest.key == ObjectKey::Manifest(snapshot)
            && inventory.schema.key == ObjectKey::Schema(snapshot)
            && inventory.packs.iter().all(|p| matches!(p.key, ObjectKey::Pack(..)));
        if !right_keys {
            return Err(Error::corrupt(format!(
                "the inventory under the key of {snapshot} names objects of something else"
            )));
        }
        Ok(inventory)
    }
}

/// Reads the inventory of a snapshot from a vault; also gives it as it is stored.
///
/// # Errors
/// `NotFound` when the vault has no such snapshot; `Corrupt`; `Unsupported`; those of the vault.
pub async fn read(vault: &dyn Vault, snapshot: SnapshotId) -> Result<(Inventory, Storable)> {
    let key = ObjectKey::Inventory(snapshot);
    let bytes = vault.get(&key).await.context(format!("read {key} in the {}", vault.place()))?;
    let inventory = Inventory::decode(&bytes, snapshot).context(format!("read {key} in the {}", vault.place()))?;
    Ok((inventory, Storable::new(bytes.into())))
}

/// The snapshots that a vault holds whole, oldest first; of one that was sealed again, the last generation.
///
/// # Errors
/// Those of the vault.
pub async fn list(vault: &dyn Vault) -> Result<Vec<SnapshotId>> {
    let keys = list_all(vault, SNAPSHOTS).await?;
    Ok(last_generations(keys.iter().filter_map(|key| match key.parse() {
        Ok(ObjectKey::Inventory(id)) => Some(id),
        _ => None,
    })))
}

/// The last generation of a snapshot that a vault holds whole: whoever remembers an earlier one means the same backup.
///
/// # Errors
/// Those of the vault.
pub async fn last_generation(vault: &dyn Vault, snapshot: SnapshotId) -> Result<Option<SnapshotId>> {
    Ok(list(vault).await?.into_iter().find(|id| id.root() == snapshot.root()))
}

/// Of some snapshots, in their order, those that were not sealed again.
pub fn last_generations(ids: impl IntoIterator<Item = SnapshotId>) -> Vec<SnapshotId> {
    let mut last: HashMap<[u8; 10], SnapshotId> = HashMap::new();
    for id in ids {
        let newest = last.entry(id.root()).or_insert(id);
        *newest = id.max(*newest);
    }
    let mut ids: Vec<SnapshotId> = last.into_values().collect();
    ids.sort_unstable();
    ids
}

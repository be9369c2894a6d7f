//! Checkpoints: the sealed lists of what an unfinished attempt has already stored. JSON, one zstd frame, one sealed message.
//!
//! Each lists what was stored since the one before it. Nothing restores from a checkpoint: it only lets another attempt use
//! segments that would be copied again otherwise.

use crate::blob::{self, Blob};
use crate::compress;
use crate::envelope::SealKey;
use crate::error::{Error, Result};
use crate::id::{AttemptId, SnapshotId};
use crate::keyring::{Keyring, Purpose, context};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::manifest::{Origin, TableManifest, check_tables, require_known_format};
use crate::message;
use crate::object::ObjectRef;
use crate::source::Server;
use crate::stage::Storable;
use serde::{Deserialize, Serialize};

/// What an attempt stored since its last checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The format's version.
    pub format: u32,
    /// The snapshot that was to be made.
    pub snapshot: SnapshotId,
    /// The name of the source.
    pub source: String,
    /// The server and database.
    pub server: Server,
    /// The attempt, and what its transaction snapshot saw.
    pub origin: Origin,
    /// The packs that segments refer to, by their place in this list; each is stored.
    pub packs: Vec<ObjectRef>,
    /// Some segments of some tables; the tally is their sum.
    pub tables: Vec<TableManifest>,
    /// Some objects of the project's Storage.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blobs: Vec<Blob>,
}

impl Checkpoint {
    /// Seals it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, keyring: &Keyring, key: &SealKey, level: i32) -> Result<Storable> {
        let json =
            serde_json::to_vec(self).map_err(|e| Error::internal("write a checkpoint as JSON").with_source(e))?;
        Ok(Storable::message(message::seal(keyring, key, &compress::compress(&json, level)?)?))
    }

    /// Opens one that an attempt sealed, and checks that it holds together.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for a newer format; those of the key service.
    pub async fn open(keyring: &Keyring, attempt: AttemptId, sealed: &[u8]) -> Result<Self> {
        let compressed = message::open(keyring, &context(Purpose::Checkpoint, attempt)?, sealed).await?;
        let json = compress::decompress(&compressed, MANIFEST_BYTES_MAX)?;
        require_known_format(&json, "checkpoint")?;
        let checkpoint: Self = serde_json::from_slice(&json)
            .map_err(|e| Error::corrupt("the checkpoint is not the JSON of this format").with_source(e))?;
        if checkpoint.origin.attempt != attempt {
            return Err(Error::corrupt(format!(
                "the checkpoint of attempt {attempt} says it is of {}",
                checkpoint.origin.attempt
            )));
        }
        check_tables(&checkpoint.tables, &checkpoint.packs)?;
        blob::check(&checkpoint.blobs, &checkpoint.packs)?;
        Ok(checkpoint)
    }
}

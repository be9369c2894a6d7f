//! Move lists: where a run of `rotate` put the extents that it sealed again. JSON, one zstd frame, one sealed message.
//!
//! Each lists what was stored since the one before it. Nothing restores from a move list: it only saves that the same extents
//! are sealed again once more, by the next run or for the next snapshot.

use crate::compress;
use crate::envelope::SealKey;
use crate::error::{Error, Result};
use crate::extent::Extent;
use crate::id::AttemptId;
use crate::keyring::{Keyring, Purpose, context};
use crate::layout::ObjectKey;
use crate::limits::{FORMAT_VERSION, MANIFEST_BYTES_MAX, MANIFEST_LEVEL};
use crate::manifest::require_known_format;
use crate::message;
use crate::object::ObjectRef;
use crate::stage::Storable;
use serde::{Deserialize, Serialize};

/// Where one extent was, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The pack that it was in: an index into [`MoveList::from`].
    pub from: u32,
    /// Its first byte there.
    pub from_offset: u64,
    /// Where it is: the pack is an index into [`MoveList::to`].
    #[serde(flatten)]
    pub extent: Extent,
}

/// What a run has moved since its last list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveList {
    /// The format's version.
    pub format: u32,
    /// The packs that the extents were in.
    pub from: Vec<ObjectKey>,
    /// The packs that they are in; each is stored.
    pub to: Vec<ObjectRef>,
    /// The extents.
    pub moves: Vec<Move>,
}

impl MoveList {
    /// An empty one.
    pub fn new() -> Self {
        Self { format: FORMAT_VERSION, from: Vec::new(), to: Vec::new(), moves: Vec::new() }
    }

    /// Seals it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, keyring: &Keyring, key: &SealKey) -> Result<Storable> {
        let json =
            serde_json::to_vec(self).map_err(|e| Error::internal("write a list of moves as JSON").with_source(e))?;
        Ok(Storable::message(message::seal(keyring, key, &compress::compress(&json, MANIFEST_LEVEL)?)?))
    }

    /// Opens one that a run sealed, and checks that it holds together.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for a newer format; those of the key service.
    pub async fn open(keyring: &Keyring, run: AttemptId, sealed: &[u8]) -> Result<Self> {
        let compressed = message::open(keyring, &context(Purpose::Checkpoint, run)?, sealed).await?;
        let json = compress::decompress(&compressed, MANIFEST_BYTES_MAX)?;
        require_known_format(&json, "list of moves")?;
        let list: Self = serde_json::from_slice(&json)
            .map_err(|e| Error::corrupt("the list of moves is not the JSON of this format").with_source(e))?;
        for moved in &list.moves {
            moved.extent.check(&list.to)?;
            if list.from.get(moved.from as usize).is_none() {
                return Err(Error::corrupt("a list of moves names a pack that it does not list"));
            }
        }
        Ok(list)
    }
}

impl Default for MoveList {
    fn default() -> Self {
        Self::new()
    }
}

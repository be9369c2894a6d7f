//! Object keys: the same in every vault, written once, never reused.
//!
//! ```text
//! v1/packs/<attempt>/<nnnnnn>
//! v1/checkpoints/<attempt>/<nnnn>
//! v1/moves/<attempt>/<nnnn>
//! v1/snapshots/<snapshot>/schema | manifest | inventory.json
//! ```
//! A key that does not parse is nobody's: it is neither copied nor deleted.

use crate::error::{Error, Result};
use crate::id::{AttemptId, SnapshotId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Everything lies under this prefix.
pub const ROOT: &str = "v1/";
/// Where snapshots lie.
pub const SNAPSHOTS: &str = "v1/snapshots/";
/// Where checkpoints lie.
pub const CHECKPOINTS: &str = "v1/checkpoints/";
/// Where lists of moves lie.
pub const MOVES: &str = "v1/moves/";
const PACK_MAX: u32 = 999_999;
const CHECKPOINT_MAX: u32 = 9_999;

/// The key of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ObjectKey {
    /// Sealed segments or blobs.
    Pack(AttemptId, u32),
    /// What an unfinished attempt has stored.
    Checkpoint(AttemptId, u32),
    /// Where a run of `rotate` has moved what it sealed again.
    Moves(AttemptId, u32),
    /// The sealed schema archive of a snapshot.
    Schema(SnapshotId),
    /// The sealed manifest of a snapshot.
    Manifest(SnapshotId),
    /// The clear inventory of a snapshot: the commit point.
    Inventory(SnapshotId),
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(attempt, n) => write!(f, "v1/packs/{attempt}/{n:06}"),
            Self::Checkpoint(attempt, n) => write!(f, "v1/checkpoints/{attempt}/{n:04}"),
            Self::Moves(attempt, n) => write!(f, "v1/moves/{attempt}/{n:04}"),
            Self::Schema(id) => write!(f, "v1/snapshots/{id}/schema"),
            Self::Manifest(id) => write!(f, "v1/snapshots/{id}/manifest"),
            Self::Inventory(id) => write!(f, "v1/snapshots/{id}/inventory.json"),
        }
    }
}

impl FromStr for ObjectKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let key = match parts.as_slice() {
            ["v1", "packs", attempt, n] => Some(Self::Pack(attempt.parse()?, number(n, 6, PACK_MAX)?)),
            ["v1", "checkpoints", attempt, n] => {
                Some(Self::Checkpoint(attempt.parse()?, number(n, 4, CHECKPOINT_MAX)?))
            }
            ["v1", "moves", attempt, n] => Some(Self::Moves(attempt.parse()?, number(n, 4, CHECKPOINT_MAX)?)),
            ["v1", "snapshots", id, "schema"] => Some(Self::Schema(id.parse()?)),
            ["v1", "snapshots", id, "manifest"] => Some(Self::Manifest(id.parse()?)),
            ["v1", "snapshots", id, "inventory.json"] => Some(Self::Inventory(id.parse()?)),
            _ => None,
        };
        key.ok_or_else(|| Error::invalid(format!("`{}` is not a key of this format", shown(text))))
    }
}

fn number(text: &str, digits: usize, max: u32) -> Result<u32> {
    let exact = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    let n = if exact { text.parse().ok() } else { None };
    n.filter(|n| *n <= max)
        .ok_or_else(|| Error::invalid(format!("`{}` is not a number of {digits} digits", shown(text))))
}

/// At most 120 characters of a text from outside, without control characters.
fn shown(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

    #[test]
    fn a_key_survives_its_text() {
        for tail in [
            "packs/ID/000000",
            "packs/ID/999999",
            "checkpoints/ID/0042",
            "moves/ID/0000",
            "snapshots/ID/schema",
            "snapshots/ID/manifest",
            "snapshots/ID/inventory.json",
        ] {
            let text = format!("v1/{}", tail.replace("ID", ID));
            assert_eq!(text.parse::<ObjectKey>().expect("parses").to_string(), text);
        }
    }

    #[test]
    fn a_forged_key_is_refused() {
        for tail in [
            "packs/ID/0",
            "packs/ID/-00001",
            "packs/ID/0000001",
            "packs/../ID/000001",
            "packs/ID/000001/",
            "snapshots/ID/other",
            "snapshots/ID/inventory.json.bak",
            "packs/id/000001",
            "packs/{ID}/000001",
            "../v1/packs/ID/000001",
            "packs/ID/٠٠٠٠٠١",
        ] {
            let text = format!("v1/{}", tail.replace("ID", ID));
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
        assert!("".parse::<ObjectKey>().is_err());
        assert!(format!("v2/packs/{ID}/000001").parse::<ObjectKey>().is_err());
        assert!(format!("v1/packs/{}/000001", ID.to_uppercase()).parse::<ObjectKey>().is_err());
    }
}

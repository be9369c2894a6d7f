//! Packs: sealed messages one after the other, stored as one object.

use crate::error::{Error, Result};
use crate::extent::{Extent, SealedExtent};
use crate::id::AttemptId;
use crate::layout::ObjectKey;
use crate::limits::{EXTENT_BYTES, PACK_BYTES};
use crate::stage::Storable;

/// Fills packs, numbered from 0.
pub struct PackBuilder {
    attempt: AttemptId,
    number: u32,
    bytes: Vec<u8>,
}

impl PackBuilder {
    /// For the packs of an attempt.
    pub fn new(attempt: AttemptId) -> Self {
        Self { attempt, number: 0, bytes: Vec::new() }
    }

    /// For packs of an attempt that go on with a number.
    pub fn numbered_from(attempt: AttemptId, number: u32) -> Self {
        Self { number, ..Self::new(attempt) }
    }

    /// Appends a message, and says where it lies.
    pub fn append(&mut self, extent: &SealedExtent) -> Extent {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(PACK_BYTES + EXTENT_BYTES);
        }
        let offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&extent.sealed.0);
        Extent { pack: self.number, offset, length: extent.sealed.len() as u64, bytes: extent.bytes }
    }

    /// Whether it is time to [`PackBuilder::take`].
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PACK_BYTES
    }

    /// The pack to be stored, if it holds anything; the next one begins.
    ///
    /// # Errors
    /// `Exhausted` when an attempt would need more than a million packs.
    pub fn take(&mut self) -> Result<Option<(ObjectKey, Storable)>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let key = ObjectKey::Pack(self.attempt, self.number);
        if key.to_string().parse::<ObjectKey>().is_err() {
            return Err(Error::exhausted("an attempt stores at most 1,000,000 packs"));
        }
        self.number += 1;
        Ok(Some((key, Storable::new(std::mem::take(&mut self.bytes)))))
    }
}
